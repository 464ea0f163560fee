"""What a stream said, kept by reference up to a limit, for counting it when it has ended."""

MOST_KEPT = 256 * 1024


class BoundedTranscript:
    """Drops everything once there is too much: half a stream is not worth counting."""

    __slots__ = ("_most", "_pieces", "_size")

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._size = 0
        self._pieces: list[bytes] = []

    def feed(self, data: bytes, /) -> None:
        """One piece, as it goes to the caller."""
        self._size += len(data)
        if self._size <= self._most:
            self._pieces.append(data)
        else:
            self._pieces.clear()

    def body(self) -> bytes | None:
        """All of it, or None when it was too much."""
        return b"".join(self._pieces) if self._size <= self._most else None
