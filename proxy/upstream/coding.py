"""A body that must be read as a whole: gathered, its content coding undone, with a bound.

Never makes more than the limit plus one byte, so a small body that would inflate to gigabytes is
refused at the limit. A coding that is not at its own end when the body ends is as wrong as a
broken one.
"""

from proxy.base.errors import Malformed
from proxy.core.ports import RawHeaders
from proxy.wire.coding import Inflate, is_gzip


class Collector:
    """Gathers a body, decoded, up to a limit. Everything here may raise Malformed."""

    __slots__ = ("_inflate", "_limit", "_parts", "_size")

    def __init__(self, headers: RawHeaders, limit: int) -> None:
        self._inflate = Inflate(limit + 1) if _is_coded(headers) else None
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """Take bytes of the body as they came: the sink of `Answer.pump`."""
        if self._inflate is not None:
            data = self._inflate.feed(data)
        self._size += len(data)
        if self._size > self._limit:
            raise Malformed(f"the provider's answer is larger than {self._limit} bytes")
        self._parts.append(data)

    def finish(self) -> bytes:
        """The whole body. An empty body is whole in every coding (HEAD, 204, 304)."""
        if self._inflate is not None:
            self._parts.append(self._inflate.finish())
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def _is_coded(headers: RawHeaders) -> bool:
    """Whether a coding must be undone. Raises Malformed for one that cannot be."""
    codings = [
        word
        for name, value in headers
        if len(name) == 16 and name.lower() == b"content-encoding"
        for part in value.split(b",")
        if (word := part.strip().lower()) and word != b"identity"
    ]
    if len(codings) > 1:
        raise Malformed("the provider's answer has more than one Content-Encoding")
    if codings and not is_gzip(codings[0]):
        raise Malformed("the provider's answer has a Content-Encoding that is not known here")
    return bool(codings)
