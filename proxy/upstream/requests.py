"""Heads of requests: what is ours (request line, Host, framing) around the caller's fields.

What stays the same for an origin is joined once. A field with CR, LF or NUL would be read as
something else by the vendor, so a head that holds one is refused whatever the floors above promise.
"""

from typing import Final

from proxy.base.errors import BadRequest, OperatorError
from proxy.core.outgoing import Outgoing
from proxy.core.ports import RawHeaders, Upload
from proxy.upstream.origin import Origin
from proxy.upstream.proxies import ProxyRoute

_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class HeadWriter:
    """Writes request heads for one origin; remembers the last request line, mostly the next one."""

    __slots__ = ("_after_target", "_before_target", "_line", "_method", "_target")

    def __init__(self, origin: Origin, proxy: ProxyRoute | None) -> None:
        host = origin.host_header
        after = b" HTTP/1.1\r\nHost: " + host
        before = ""
        if proxy is not None and not origin.secure:
            before = f"http://{host.decode()}"
            if proxy.authorization is not None:
                after += b"\r\nProxy-Authorization: " + proxy.authorization.reveal().encode("ascii")
        self._before_target = before
        self._after_target = after + b"\r\n"
        self._method = self._target = ""
        self._line = b""

    def head(self, outgoing: Outgoing) -> bytes:
        """The whole head with its empty line. Raises BadRequest and OperatorError."""
        headers = outgoing.headers
        fields = b"\r\n".join(map(b": ".join, headers))
        if headers:
            fields += b"\r\n"
            if len(fields.translate(None, b"\r\n\0")) != len(fields) - 2 * len(headers):
                raise _bad_field(headers)
        method, target = outgoing.method, outgoing.target
        if target != self._target or method != self._method:
            self._line = self._request_line(method, target)
            self._method, self._target = method, target
        body = outgoing.body
        if body.__class__ is bytes and body:
            return b"%b%bContent-Length: %d\r\n\r\n" % (self._line, fields, len(body))
        return self._line + fields + _framing(method, body)

    def _request_line(self, method: str, target: str) -> bytes:
        start = f"{method} {self._before_target}{target}"
        if not start.isascii() or not start.isprintable() or start.count(" ") != 1:
            raise BadRequest("the request line is not a method and a percent-encoded target")
        if target[:1] != "/":
            raise BadRequest("the request's target does not begin with a slash")
        return start.encode("ascii") + self._after_target


def _framing(method: str, body: bytes | Upload) -> bytes:
    length = len(body) if isinstance(body, bytes) else body.length
    if length is None:
        return b"Transfer-Encoding: chunked\r\n\r\n"
    if length or method not in _BODILESS:
        return b"Content-Length: %d\r\n\r\n" % length
    return b"\r\n"


def _bad_field(headers: RawHeaders) -> OperatorError:
    for name, value in headers:
        if any(byte in field for field in (name, value) for byte in (b"\r", b"\n", b"\0")):
            shown = ascii(name.decode("latin-1"))
            return OperatorError(f"the header {shown} has a line break or NUL and was not sent")
    return OperatorError("a header has a line break or NUL and was not sent")
