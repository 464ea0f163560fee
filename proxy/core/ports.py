"""Where the floors above meet: what the life of a request needs from a vendor's connection.

`upstream/` implements `Transport` with sockets, `demo/` without. Both deliver the body of an answer
by calling a plain function in the loop turn the bytes arrived: no task wakes up per chunk.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.core.outgoing import Outgoing, Timeouts
    from proxy.core.writer import Writer

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Header fields in order, as bytes without CR, LF and NUL; names in any case."""

Sink = Callable[[bytes], None]
"""Takes bytes at once; may ask the source to pause, never blocks, never awaits."""


class Upload(Protocol):
    """A request body that is not held in memory."""

    @property
    def length(self) -> int | None:
        """Bytes in all, or None when unknown (sent chunked)."""

    @property
    def started(self) -> bool:
        """Whether any byte has been taken: then it cannot be sent a second time."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Answer(Protocol):
    """A vendor's answer whose head is known. Ends once: body delivered, error or abort."""

    status: int
    headers: RawHeaders

    @property
    def here(self) -> bool:
        """Whether the first bytes of the body, or its end, are here: `ready` would not wait."""

    async def ready(self) -> None:
        """Return when the first bytes of the body are here, or its end. Raises UpstreamError."""

    async def read(self, limit: int) -> bytes:
        """The whole body, any Content-Encoding undone, at most `limit` bytes.

        Raises UpstreamError, also (Malformed) when the limit is passed or the coding is unknown.
        """

    def take(self) -> bytes | None:
        """The whole body, coding untouched, if it is here already; else None and nothing is taken.

        The fast path for small answers: no second write, no future."""

    async def pump(self, sink: Sink) -> None:
        """Call `sink` with the bytes as they came (coding untouched, framing removed), first with
        what is already here, then in the loop turn each read arrives. Return at the declared end.

        Raises UpstreamError if the body ends early or a deadline passes. Cancelling it aborts.
        """

    def pause(self) -> None:
        """Stop reading from the vendor (back-pressure). Idempotent."""

    def resume(self) -> None:
        """Read again. Idempotent."""

    def abort(self) -> None:
        """Drop the answer and its connection now. Idempotent; harmless after the end."""


class Transport(Protocol):
    """The way to one provider: knows its address, TLS and pool."""

    async def send(self, outgoing: "Outgoing", timeouts: "Timeouts") -> Answer:
        """Send and return once the head of the answer is known (any status; 1xx are passed over).

        Raises UpstreamError. Cancelling it aborts the request.
        """

    def close(self) -> None:
        """Close idle connections now, and each busy one when its answer ends. Idempotent."""


class Out(Protocol):
    """Where the answer goes: the caller's connection. All but `flush` act at once."""

    started: bool  # Whether a head was given; then no other can be.

    @property
    def full(self) -> bool:
        """Whether the caller has to read before more should be written: `flush` would wait."""

    def add(self, lines: bytes) -> None:
        """Header lines of ours, rendered, for the head that comes."""

    def whole(
        self, status: int, headers: RawHeaders, body: bytes, length: int | None = None
    ) -> None:
        """Head and body in one write. `length` overrides Content-Length (answers to HEAD)."""

    def start(
        self, status: int, headers: RawHeaders, source: Answer, length: int | None = None
    ) -> "Writer":
        """The head of a body that comes in pieces; leaves with the first of them. Gives where they
        go. `source` is paused while the caller does not read. Without `length` the body's end is
        framed."""

    def go_on(self, source: Answer) -> "Writer":
        """The pieces come from another answer from now on."""

    def end(self) -> None:
        """The body is whole."""

    def cut(self) -> None:
        """Close the connection without an end, so that the caller cannot take it for whole."""

    async def flush(self) -> None:
        """Return when the caller has read enough for the next answer."""
