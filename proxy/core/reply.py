"""An answer on its way to the caller: a head, and a body that is here or still coming."""

from proxy.core.ports import Answer
from proxy.wire.headers import Pairs


class Reply:
    """Either `body` is the whole body, or `answer` will deliver it."""

    __slots__ = ("answer", "body", "events", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: Pairs,
        *,
        body: bytes = b"",
        answer: Answer | None = None,
        events: bool = False,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.answer = answer
        self.events = events  # A stream of server-sent events.


def json_reply(body: bytes, status: int = 200) -> Reply:
    """A whole JSON answer of our own."""
    return Reply(status, [(b"content-type", b"application/json")], body=body)
