"""What the demo vendor is asked and what it says: plain values, no clock, no sockets.

A handler is a pure function from `Request` to `Content`; a `Refusal` that it raises becomes a
content in OpenAI's error shape at one place (`refused`). Identifiers are made from the request, so
the same request always gets the same bytes.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from proxy.base import jsonio

CREATED = 1_750_000_000
"""The one moment at which everything was made."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `path` without version, query and slashes around it."""

    path: str
    media: str  # The value of Content-Type, as it came.
    body: bytes

    def name(self, prefix: str) -> str:
        """An identifier that only this request has."""
        seed = self.path.encode() + b"\0" + self.body
        return prefix + hashlib.blake2b(seed, digest_size=12, person=b"demo").hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """An answer: its parts arrive one by one when `paced`, all at once when not."""

    status: int
    media: str
    parts: tuple[bytes, ...]
    paced: bool = False


Handler = Callable[[Request], Content]


class Refusal(Exception):
    """The request cannot be answered; carries all that OpenAI's error shape shows."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.status = status


def as_json(value: Any, status: int = 200) -> Content:
    """An answer of one JSON document."""
    return Content(status, "application/json", (jsonio.dumps(value),))


def refused(refusal: Refusal) -> Content:
    """The answer to a request that was refused."""
    error = {
        "message": refusal.message,
        "type": "invalid_request_error",
        "param": refusal.param,
        "code": refusal.code,
    }
    return as_json({"error": error}, refusal.status)


def as_events(events: Iterable[bytes]) -> Content:
    """A stream of server-sent events, each made by `data_event` or `named_event`."""
    return Content(200, "text/event-stream; charset=utf-8", tuple(events), paced=True)


def data_event(value: Any) -> bytes:
    """One event as chat completions stream them."""
    return b"data: %b\n\n" % jsonio.dumps(value)


def named_event(value: dict[str, Any]) -> bytes:
    """One event as responses stream them: named after its type."""
    return f"event: {value['type']}\n".encode() + data_event(value)


DONE = b"data: [DONE]\n\n"
