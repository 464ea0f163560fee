"""Content codings that can be undone as the bytes come (RFC 9110 §8.4.1)."""

import zlib

from proxy.base.errors import BadRequest, Malformed, TooLarge, UnsupportedMedia

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class Inflate:
    """gzip or zlib, bytes in, bytes out, for streams that must be read although nobody asked for
    a coding."""

    __slots__ = ("_engine",)

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(_GZIP_OR_ZLIB)

    def feed(self, data: bytes) -> bytes:
        try:
            return self._engine.decompress(data)
        except zlib.error:
            raise Malformed("the vendor's answer is not in the coding that it names") from None

    def finish(self) -> bytes:
        return self._engine.flush()


def is_gzip(coding: bytes | str) -> bool:
    """Whether `Inflate` can undo this Content-Encoding."""
    name = coding.decode("latin-1") if isinstance(coding, bytes) else coding
    return name.strip().lower() in {"gzip", "x-gzip", "deflate"}


def inflate_request(raw: bytes, coding: str, limit: int) -> bytes:
    """A request body with its coding undone; never makes more than `limit` bytes."""
    if not is_gzip(coding):
        raise UnsupportedMedia(f"content-encoding `{coding}` is not supported; send gzip or none")
    engine = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        body = engine.decompress(raw, limit)
    except zlib.error:
        raise BadRequest("the body is not in the coding that it names") from None
    if engine.unconsumed_tail:
        raise TooLarge(f"the body is larger than {limit} bytes when its coding is undone")
    if not engine.eof:
        raise BadRequest("the compressed body is cut off")
    return body
