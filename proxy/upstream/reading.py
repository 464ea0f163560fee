"""One answer after another out of the bytes of a connection: pure, no socket, no clock.

httptools does the parsing; this object is its target and keeps what was found until the connection
looks after each read: head, body parts, the end. Strict where a lenient reader could be made to
disagree with the sender: any Transfer-Encoding but `chunked`, both lengths, bytes before the head
of a final answer, heads over the limit. `on_body` is the list's own method, and a chunk that comes
alone, as those of streams do, does not need the parser (wire/chunked.py).
"""

from collections.abc import Callable
from typing import Final

import httptools

from proxy.base.errors import Malformed
from proxy.wire.chunked import data_of

HEAD_LIMIT: Final = 64 * 1024
"""Most bytes of a head with the 1xx answers before it, and of framing between pieces of body."""


class ResponseReader:
    """The parser's state for the answer that is expected now."""

    __slots__ = (
        "_between",
        "_feed",
        "_head_only",
        "_parser",
        "complete",
        "head_done",
        "headers",
        "keep_alive",
        "on_body",
        "parts",
        "status",
        "surplus",
        "unframed",
    )

    _feed: Callable[[bytes], None]

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.on_body = self.parts.append
        self._head_only = False
        self._renew()
        self.expect(head_only=False)

    def expect(self, *, head_only: bool) -> None:
        """Make ready for the next answer; `head_only` for the answer to HEAD."""
        if self._head_only:
            # The parser still waits for the body that a HEAD's answer announced.
            self._renew()
        self._head_only = head_only
        self.head_done = False  # The head of the final answer is whole.
        self.unframed = 0  # Bytes that gave neither a whole head nor body, in a row.
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self._between = False  # What has come ends where a chunk does.
        self.keep_alive = False
        self.surplus = False  # Bytes came after the end: never use this connection again.

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request after this answer."""
        return self.complete and self.keep_alive and not self.surplus

    @property
    def ends_with_connection(self) -> bool:
        """Whether nothing but the end of the connection marks the end of this body."""
        lengths = (b"content-length", b"transfer-encoding")
        return self.head_done and not any(name.lower() in lengths for name, _ in self.headers)

    @property
    def heard(self) -> bool:
        """Whether any byte of an answer has come."""
        return self.head_done or self.unframed > 0

    def count_unframed(self, size: int) -> None:
        """Count bytes that gave neither a whole head nor body. Raises Malformed over the limit."""
        self.unframed += size
        if self.unframed > HEAD_LIMIT:
            what = "chunk framing" if self.head_done else "a response head"
            raise Malformed(f"the provider sent {what} of more than {HEAD_LIMIT} bytes")

    def check_head(self, size: int) -> None:
        """Check a head that became whole in a read of `size` bytes. Raises Malformed."""
        if self._head_only and self.parts:
            self.parts.clear()
            self.surplus = True
        before, self.unframed = self.unframed, 0
        if before + size > HEAD_LIMIT:
            head = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if head > HEAD_LIMIT:
                raise Malformed(
                    f"the provider sent a response head of more than {HEAD_LIMIT} bytes"
                )

    def failure(self, error: httptools.HttpParserError) -> Malformed | None:
        """What a parser error means; None when the answer was whole before it."""
        self.surplus = True
        if self.complete:
            return None
        if isinstance(error.__context__, Malformed):
            return error.__context__
        return Malformed(f"the provider's answer is not valid HTTP: {error}")

    def chunk(self, data: bytes) -> bytes | None:
        """The body that this read is, one chunk, no more and no less; None: feed it."""
        return data_of(data) if self._between else None

    def feed(self, data: bytes) -> None:
        """Parse. Raises httptools.HttpParserError."""
        self._between = False
        self._feed(data)
        if self._between and not data.endswith(b"\r\n"):
            self._between = False  # Within the next size line: at its end a chunk begins.

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        if self.complete:
            # Stop the parser, or the body of a second answer would be taken for more of the first.
            raise Malformed("the provider sent bytes after the end of its answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_done:
            return  # A trailer, or surplus.
        self.headers.append((name, value))
        if len(name) == 17 and name.lower() == b"transfer-encoding":
            self._check_transfer_encoding(value)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101 or status < 100:
                raise Malformed(f"the provider answered with status {status}")
            self.headers = []
            return
        self.status = status
        self.head_done = True
        if self._head_only:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()

    def on_chunk_header(self) -> None:
        self._between = False

    def on_chunk_complete(self) -> None:
        self._between = True

    def on_message_complete(self) -> None:
        if self.head_done:
            if not self.complete:
                self.complete = True
                self.keep_alive = self._parser.should_keep_alive()
        elif self.parts:
            raise Malformed("the provider sent a body with an interim answer")

    def _check_transfer_encoding(self, value: bytes) -> None:
        if value.strip().lower() != b"chunked":
            raise Malformed("the provider used a Transfer-Encoding other than chunked")
        if sum(name.lower() == b"transfer-encoding" for name, _ in self.headers) > 1:
            raise Malformed("the provider named its Transfer-Encoding twice")
        if self._parser.get_http_version() == "1.0":
            self.surplus = True  # RFC 9112 §6.1: faulty framing, close after this answer.

    def _renew(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data
