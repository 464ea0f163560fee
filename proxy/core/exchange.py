"""One request and all that is known of it: made when it arrives, dropped when it is settled.

Middlewares read and write its fields; what must happen later they register here:

    x.on_reply(fn)   when the head of an answer is known, before its first byte; again where
                     another answer takes its place
    x.filter(dec)    a Decoder that changes the stream; switches the raw path off
    x.watch(tap)     sees the bytes that go to the caller, cannot change them
    x.at_end(fn)     sync, once, last in first out, whatever happened
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from proxy.base.clock import monotonic
from proxy.base.errors import ProxyError
from proxy.core.caller import UNKNOWN, Caller
from proxy.core.labels import NO_LABELS
from proxy.core.reply import Reply
from proxy.core.runtime import Runtime
from proxy.core.tracing import NOT_TRACED
from proxy.wire.operations import Medium, Operation
from proxy.wire.pictures import PictureTail
from proxy.wire.recalled import Recalled
from proxy.wire.tail import Tail

if TYPE_CHECKING:
    from proxy.core.attempt import Attempt
    from proxy.core.dispatch import Tries
    from proxy.core.gate import EarlyHold, Need
    from proxy.core.quota import Grant
    from proxy.core.rules import Rule
    from proxy.core.target import Route, Target
    from proxy.core.upload import FormUpload, StreamUpload
    from proxy.wire.body import Body
    from proxy.wire.record import Content, Usage

log = logging.getLogger("llm-proxy.exchange")


class Decoder(Protocol):
    """Changes a stream: bytes in, bytes out."""

    def feed(self, data: bytes, /) -> bytes: ...
    def finish(self) -> bytes: ...


class Incoming(Protocol):
    """The request as the server read it; the body is still on the wire."""

    id: str
    method: str
    path: str  # Raw: percent-encoding kept, no query.
    query: str  # Raw, without the question mark.
    headers: Mapping[str, str]  # To be asked in lower case; of a doubled field the first.
    raw_headers: tuple[tuple[bytes, bytes], ...]
    length: int | None  # Content-Length, or None when chunked; 0 without a body.
    recalled: Recalled | None  # Where the head, but for its length, came before.

    @property
    def peer(self) -> str | None:
        """The address the connection came from, where it has one."""

    def take(self, limit: int) -> bytes | None:
        """The whole body, if it is here already; else None, nothing is taken, and `read` waits for
        it, or says what is wrong with it."""

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises TooLarge, SlowRequest."""

    def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it comes. Raises TooLarge, SlowRequest."""


class Exchange:
    """One request, its decisions and its answer."""

    __slots__ = (
        "_at_end",
        "_on_reply",
        "admitted",
        "around",
        "arrived",
        "at",
        "attempts",
        "body",
        "caller",
        "cap",
        "content",
        "counted",
        "dropped",
        "early",
        "error",
        "filters",
        "finished",
        "first_byte",
        "for_attempt",
        "grant",
        "id",
        "incoming",
        "labels",
        "left_out",
        "model",
        "need",
        "operation",
        "path",
        "plan",
        "received",
        "reply",
        "route",
        "rule",
        "runtime",
        "settled",
        "stream",
        "tail",
        "teller",
        "trace",
        "tries",
        "unmarked",
        "usage_asked",
        "watchers",
    )

    def __init__(
        self, runtime: Runtime, incoming: Incoming, operation: Operation, path: str
    ) -> None:
        self.runtime = runtime
        self.incoming = incoming
        self.id = incoming.id
        self.operation = operation
        self.path = path  # Below /v1, with a leading slash.
        self.received = now = monotonic()  # The head is here.
        self.arrived = now  # The body is here, or begins to pass.
        self.admitted = self.first_byte = 0.0
        self.at = 0  # Microseconds since the epoch: its record's time, where that is fixed already.
        # The caller gets a whole answer; all that was to happen at the end has happened.
        self.finished = self.settled = False
        self.caller: Caller = UNKNOWN
        self.trace = NOT_TRACED
        self.body: Body | FormUpload | StreamUpload | None = None
        self.model: str | None = None  # The model asked for.
        self.labels = NO_LABELS  # What the request says of itself.
        self.unmarked = False  # It was looked at, and says nothing of itself, and wishes nothing.
        self.grant: Grant | None = None  # What was taken from limits.
        self.early: EarlyHold | None = None  # What was held already for the first attempt.
        self.around: object = None  # What the gate found to stand around it.
        self.need: Need | None = None  # Where limits or budgets asked for it.
        self.cap: int | None = None  # Tokens of output to allow where the caller named no number.
        self.stream = self.usage_asked = False  # A stream; and with usage, for the caller itself.
        self.route: Route | None = None
        self.rule: Rule | None = None  # Which decided on the route.
        self.plan: tuple[Target, ...] = ()
        self.dropped: list[tuple[Target, str]] = []  # What was left out of it, and why.
        self.left_out = 0  # Messages that did not fit into the target's window.
        self.tries: Tries | None = None  # Where it stands in its plan.
        self.attempts: list[Attempt] = []
        self.reply: Reply | None = None
        self.error: BaseException | None = None
        self.tail = PictureTail() if operation.medium is Medium.PICTURES else Tail()
        self.counted: Usage | None = None  # By ourselves, where the vendor said nothing.
        self.content: Content | None = None  # With `telemetry.content: full` alone.
        self.filters: list[Decoder] = []
        self.for_attempt: list[Decoder] = []  # Those of them that are for this attempt only.
        self.watchers: list[Callable[[bytes], None]] = []
        self.teller: Callable[[Exchange, Reply], None] | None = None  # Tells how limits stand.
        self._on_reply: list[Callable[[Reply], None]] = []
        self._at_end: list[Callable[[Exchange], None]] = []

    def on_reply(self, fn: Callable[[Reply], None]) -> None:
        """Call `fn` with the reply before its first byte goes out, and with each that takes the
        place of one of which nothing went out."""
        self._on_reply.append(fn)

    def filter(self, decoder: Decoder, *, for_attempt: bool = False) -> None:
        """Put a decoder at the end of the chain that the body passes, before its first byte goes
        out. `for_attempt`: should another target carry on with the answer it has no more to do with
        it."""
        self.filters.append(decoder)
        if for_attempt:
            self.for_attempt.append(decoder)

    def watch(self, tap: Callable[[bytes], None]) -> None:
        """Show `tap` all bytes that go to the caller; to be said before the first."""
        self.watchers.append(tap)

    def at_end(self, fn: Callable[["Exchange"], None]) -> None:
        """Call `fn` when the exchange ends, whatever happened; last in, first out."""
        self._at_end.append(fn)
        self.settled = False

    def announce(self, reply: Reply) -> None:
        """The head is known: run what `on_reply` registered."""
        if self.teller is not None:
            self.teller(self, reply)
        for fn in self._on_reply:
            fn(reply)

    def put_away(self, attempt: "Attempt") -> None:
        """What was heard of this attempt is not the answer, or not the whole of it."""
        attempt.heard, self.tail = self.tail, type(self.tail)()
        self.counted = None

    def announce_attempt(self, reply: Reply, since: int) -> None:
        """Another target carries on with an answer whose head is out: run what was registered for
        it, `since` so many were."""
        for fn in self._on_reply[since:]:
            fn(reply)

    @property
    def announcers(self) -> int:
        """How many `on_reply` has registered."""
        return len(self._on_reply)

    def complete(self) -> None:
        """All is known: settle now, before the last byte leaves, so that no answer can be whole
        without its record."""
        self.finished = True
        self.settle()

    def settle(self) -> None:
        """The end. Synchronous, so that no cancellation can skip it."""
        for attempt in self.attempts:
            if attempt.open:
                try:
                    attempt.over()
                except Exception:
                    # As below: the others are to be ended all the same.
                    log.exception("an attempt of %s could not be ended", self.id)
        at_end = self._at_end
        while at_end:
            fn = at_end.pop()
            try:
                fn(self)
            except Exception:
                # One that fails must not keep the others from running.
                log.exception("an end action of %s failed", self.id)
        if self._on_reply:
            self._on_reply.clear()  # What is there may hold us: without it we are gone at once.
        self.tries = None  # So does this: nothing is tried any more.
        self.settled = True

    @property
    def refusal(self) -> ProxyError | None:
        """The error that the caller was or will be told, if any."""
        return self.error if isinstance(self.error, ProxyError) else None
