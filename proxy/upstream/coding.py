"""Content codings of answers that must be read, undone with a bound on what comes out.

gzip, deflate (in its zlib and its raw form) and br where a brotli module is installed. Decoding is
incremental and never makes more than the limit plus one byte, so a small body that would inflate to
gigabytes is refused after `limit` bytes. A coding that is not at its own end when the body ends is
as wrong as a broken one.
"""

import importlib
import zlib
from typing import Any, Protocol

from proxy.base.errors import Malformed
from proxy.core.ports import RawHeaders


class Decoder(Protocol):
    """Undoes one coding."""

    def feed(self, data: bytes, room: int) -> bytes:
        """Decode; give at most `room` bytes, and `room` means that there may be more."""

    def whole(self) -> bool:
        """Whether the coding has come to its own end."""


class Collector:
    """Gathers a body, decoded, up to a limit. Everything here may raise Malformed."""

    __slots__ = ("_decoder", "_empty", "_limit", "_parts", "_size")

    def __init__(self, headers: RawHeaders, limit: int) -> None:
        self._decoder = decoder_for(headers)
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._empty = True

    def add(self, data: bytes) -> None:
        """Take bytes of the body as they came: the sink of `Answer.pump`."""
        self._empty = False
        if self._decoder is not None:
            data = self._decoder.feed(data, self._limit + 1 - self._size)
        self._size += len(data)
        if self._size > self._limit:
            raise Malformed(f"the provider's answer is larger than {self._limit} bytes")
        self._parts.append(data)

    def finish(self) -> bytes:
        """The whole body. An empty body is whole in every coding (HEAD, 204, 304)."""
        if self._decoder is not None and not self._empty and not self._decoder.whole():
            raise Malformed("the provider's answer ends in the middle of its Content-Encoding")
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def decoder_for(headers: RawHeaders) -> Decoder | None:
    """The decoder that the Content-Encoding fields ask for. Raises Malformed for unknown ones."""
    codings = [
        word
        for name, value in headers
        if len(name) == 16 and name.lower() == b"content-encoding"
        for part in value.split(b",")
        if (word := part.strip().lower()) and word != b"identity"
    ]
    if not codings:
        return None
    if len(codings) > 1:
        raise Malformed("the provider's answer has more than one Content-Encoding")
    match codings[0]:
        case b"gzip" | b"x-gzip":
            return _Gzip()
        case b"deflate":
            return _Deflate()
        case b"br":
            return _Brotli()
        case _:
            raise Malformed("the provider's answer has a Content-Encoding that is not known here")


class _Gzip:
    """One gzip member or several, as RFC 1952 allows."""

    __slots__ = ("_inflate",)

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def feed(self, data: bytes, room: int) -> bytes:
        out = []
        while data and room > 0:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
            piece = _inflate(self._inflate, data, room)
            out.append(piece)
            room -= len(piece)
            data = self._inflate.unused_data
        return b"".join(out)

    def whole(self) -> bool:
        return self._inflate.eof


class _Deflate:
    """zlib's format as RFC 9110 says, or raw deflate as some servers send it."""

    __slots__ = ("_first", "_inflate")

    def __init__(self) -> None:
        self._first = b""
        self._inflate: zlib._Decompress | None = None

    def feed(self, data: bytes, room: int) -> bytes:
        if self._inflate is None:
            self._first += data
            if len(self._first) < 2:
                return b""
            data, self._first = self._first, b""
            zlib_header = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
        piece = _inflate(self._inflate, data, room)
        if self._inflate.unused_data:
            raise Malformed("the provider's answer goes on after the end of its Content-Encoding")
        return piece

    def whole(self) -> bool:
        return self._inflate is not None and self._inflate.eof


class _Brotli:
    """br, by a `brotli` module that can bound its output (1.2 or newer)."""

    __slots__ = ("_brotli", "_decoder")

    def __init__(self) -> None:
        try:
            self._brotli: Any = importlib.import_module("brotli")
        except ImportError:
            raise Malformed(
                "the provider's answer is in br, and no brotli module is installed"
            ) from None
        self._decoder: Any = self._brotli.Decompressor()
        if not hasattr(self._decoder, "can_accept_more_data"):
            raise Malformed("the provider's answer is in br, and the brotli module is too old")

    def feed(self, data: bytes, room: int) -> bytes:
        out = []
        try:
            while room > 0:
                piece = self._decoder.process(data, output_buffer_limit=room)
                out.append(piece)
                room -= len(piece)
                data = b""
                if not piece or self._decoder.can_accept_more_data():
                    break
        except self._brotli.error:
            raise Malformed("the provider's answer is not valid br") from None
        return b"".join(out)

    def whole(self) -> bool:
        return bool(self._decoder.is_finished())


def _inflate(stream: "zlib._Decompress", data: bytes, room: int) -> bytes:
    try:
        return stream.decompress(data, room)
    except zlib.error:
        raise Malformed("the provider's answer is not in the Content-Encoding it names") from None
