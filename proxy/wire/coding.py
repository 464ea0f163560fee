"""Content codings that can be undone as the bytes come (RFC 9110 §8.4.1)."""

import zlib

from proxy.base.errors import BadRequest, Malformed, TooLarge, UnsupportedMedia

MOST_PER_READ = 16 * 1024 * 1024
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class Inflate:
    """gzip or zlib, bytes in, bytes out, for streams that must be read although nobody asked for
    a coding. Raises Malformed for another coding, for one that does not come to its own end, and
    where one read would become more than `most` bytes."""

    __slots__ = ("_empty", "_engine", "_most")

    def __init__(self, most: int = MOST_PER_READ) -> None:
        self._most = most
        self._engine = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._empty = True

    def feed(self, data: bytes) -> bytes:
        pieces = []
        room = self._most
        while data and room > 0:
            if self._engine.eof:  # gzip allows several members in a row.
                self._engine = zlib.decompressobj(_GZIP_OR_ZLIB)
            self._empty = False
            try:
                pieces.append(self._engine.decompress(data, room))
            except zlib.error:
                raise Malformed("the vendor's answer is not in the coding that it names") from None
            room -= len(pieces[-1])
            data = self._engine.unconsumed_tail or self._engine.unused_data
        if data:
            raise Malformed(f"the vendor's answer inflates to more than {self._most} bytes")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def finish(self) -> bytes:
        if not self._engine.eof and not self._empty:  # An empty body is whole in every coding.
            raise Malformed("the vendor's answer ends in the middle of its coding")
        return b""


def is_gzip(coding: bytes | str) -> bool:
    """Whether `Inflate` can undo this Content-Encoding."""
    name = coding.decode("latin-1") if isinstance(coding, bytes) else coding
    return name.strip().lower() in {"gzip", "x-gzip", "deflate"}


def inflate_request(raw: bytes, coding: str, limit: int) -> bytes:
    """A request body with its coding undone; never makes more than `limit` bytes."""
    if not is_gzip(coding):
        raise UnsupportedMedia(f"content-encoding `{coding}` is not supported; send gzip or none")
    engine = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:  # One byte more than may be, to tell a body that fits exactly from one that does not.
        body = engine.decompress(raw, limit + 1)
    except zlib.error:
        raise BadRequest("the body is not in the coding that it names") from None
    if len(body) > limit:
        raise TooLarge(f"the body is larger than {limit} bytes when its coding is undone")
    if not engine.eof:
        raise BadRequest("the compressed body is cut off")
    if engine.unused_data:
        raise BadRequest("the compressed body goes on after its end")
    return body
