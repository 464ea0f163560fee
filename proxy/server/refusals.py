"""What is said to a caller whose bytes never became a request, and how slow a caller may be.

The connection ends with such an answer. What was refused is not quoted.
"""

from typing import Final

from proxy.base.errors import BadRequest, ProxyError, SlowRequest
from proxy.wire.errors import envelope

SLOW = 10.0
"""Seconds until a head must be whole, and between two looks at how fast a body comes."""
SLOWEST = 1024
"""Least bytes a second of a body."""
KEEP_ALIVE = 75.0
"""Seconds that a connection may be idle."""
LINGER = 5.0
"""Seconds that the rest of a body which nobody wanted is read for."""
LINE_LIMIT: Final = 16 * 1024
"""Most bytes of a target, and of a field's name and value."""
FIELDS_LIMIT = 128
"""Most fields of a head with its trailers."""
HEAD_LIMIT: Final = 64 * 1024
"""Most bytes of a head, and of framing without any body."""


def slow_head() -> bytes:
    """For a head that took too long."""
    error = SlowRequest(f"the head did not come within {SLOW:g} seconds")
    return _last_answer(408, b"Request Timeout", error)


def slow_body() -> SlowRequest:
    """For a body that comes too slowly."""
    return SlowRequest(f"the body comes at less than {SLOWEST} bytes a second")


def bad_http() -> bytes:
    """For what the parser refused."""
    error = BadRequest("this is not valid HTTP/1.1", code="bad_http")
    return _last_answer(400, b"Bad Request", error)


def bad_framing() -> BadRequest:
    """For a body whose framing the parser refused."""
    return BadRequest("the body's framing is broken", code="bad_http")


def _last_answer(status: int, reason: bytes, error: ProxyError) -> bytes:
    body = envelope(error)
    return (
        b"HTTP/1.1 %d %b\r\nconnection: close\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    ) % (status, reason, len(body), body)
