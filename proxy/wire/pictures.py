"""How many pictures an answer holds, counted while it passes: they are too large to be kept.

Every picture is a `b64_json` or a `url` member of an entry of `data`, and a stream ends each with
a `….completed` event after its `….partial_image` events. A name with its quotes cannot stand in
a string of JSON, where quotes are escaped, so counting bytes counts members. The cost is one search
a name over each piece: no parsing, nothing held but the last bytes of the piece before.
"""

from typing import Final

from proxy.wire.tail import Tail

_PICTURE: Final = b'"b64_json"'
_LINK: Final = b'"url"'
_PART: Final = b'.partial_image"'
_EDGE: Final = max(map(len, (_PICTURE, _LINK, _PART))) - 1


class PictureTail(Tail):
    """A tail that also counts pictures."""

    __slots__ = ("_counts", "_edge")

    def __init__(self) -> None:
        super().__init__()
        self._edge = b""
        self._counts = dict.fromkeys((_PICTURE, _LINK, _PART), 0)

    def feed(self, data: bytes) -> None:
        super().feed(data)
        if b'"' in data:  # Every name ends with one; the inside of a picture has none.
            self._count(data)
        self._edge = (self._edge + data)[-_EDGE:] if len(data) < _EDGE else data[-_EDGE:]

    def _count(self, data: bytes) -> None:
        for name in self._counts:
            reach = len(name) - 1  # A name across the edge, and none that is whole on either side.
            across = self._edge[-reach:] + data[:reach]
            self._counts[name] += data.count(name) + across.count(name)

    @property
    def pictures(self) -> int:
        """How many pictures passed, those aside that only show how one comes into being."""
        pictures, links, parts = self._counts.values()
        return max(pictures - parts, links)
