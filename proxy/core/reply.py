"""An answer on its way to the caller: a head, and a body that is here or still coming."""

from proxy.core.ports import Answer
from proxy.wire.headers import Pairs, VendorHead


class Reply:
    """Either `body` is the whole body, or `answer` will deliver it; `head` is then what its vendor
    said of it, and `headers` what the caller is told."""

    __slots__ = ("answer", "body", "head", "headers", "lines", "status")

    def __init__(
        self,
        status: int,
        headers: Pairs,
        *,
        body: bytes = b"",
        answer: Answer | None = None,
        head: VendorHead | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.lines = b""  # Header lines of ours, rendered, sent after those.
        self.body = body
        self.answer = answer
        self.head = head if head is not None else VendorHead(headers)


def json_reply(body: bytes, status: int = 200) -> Reply:
    """A whole JSON answer of our own."""
    return Reply(status, [(b"content-type", b"application/json")], body=body)
