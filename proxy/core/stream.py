"""An answer that comes in pieces: what happens to each of them, and at the end.

Per piece there is no await, no clock, no task and no log: `AnswerStream.sink` is a plain function
that the vendor's connection calls. Which way the pieces go was chosen once, from the head.

While another target could still answer, the opening of a stream of events is held back until it
says something (wire/opening.py): that is the commit point, until which a failure is none that the
caller sees.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.base.clock import monotonic
from proxy.base.errors import Cut, Malformed, Refused, TimedOut, UpstreamError
from proxy.base.tasks import Tasks
from proxy.core.cost_told import tell_cost
from proxy.core.counting import HeldBack
from proxy.core.exchange import Exchange
from proxy.core.ports import Answer, Out
from proxy.core.reply import Reply
from proxy.wire import errors
from proxy.wire.coding import Inflate
from proxy.wire.continuation_sent import said_again
from proxy.wire.opening import Opening
from proxy.wire.operations import StreamEnd
from proxy.wire.reasons import reason_of_event
from proxy.wire.sse import WholeEvents, missing_end
from proxy.wire.stream_errors import data_of_error
from proxy.wire.tail import (
    ends_in_error,
    is_whole,
    is_whole_json,
    lacks_only_done,
    says_end,
    tells_error,
)

if TYPE_CHECKING:
    from asyncio import Task, TimerHandle

    from proxy.core.counting import Transcript
    from proxy.core.writer import Writer
    from proxy.wire.continuation import Sent

HOLD: Final = 1024 * 1024
_STATUS_OF: Final = {
    "rate_limit": 429,
    "overloaded": 503,
    "context_length": 400,
    "content_filter": 400,
}


class AnswerStream:
    """What happens to each piece, and at the end."""

    __slots__ = (
        "_answer",
        "_counting",
        "_end",
        "_events",
        "_held",
        "_inflate",
        "_late",
        "_length",
        "_opening",
        "_out",
        "_plain",
        "_reply",
        "_sent",
        "_size",
        "_tail",
        "_transcript",
        "_writer",
        "_x",
        "failure",
    )

    def __init__(  # noqa: PLR0917 - What the relay has in hand.
        self,
        x: Exchange,
        reply: Reply,
        answer: Answer,
        out: Out,
        inflate: Inflate | None = None,
        sent: "Sent | None" = None,
        *,
        carries_on: bool = False,
    ) -> None:
        """`sent`: remembers what goes out, so that another target may carry on. `carries_on`: the
        head is out already."""
        self._x = x
        self._reply = reply
        self._answer = answer
        self._out = out
        self._writer: Writer | None = None
        self._inflate = inflate
        self._tail = x.tail
        self._events: WholeEvents | None = None
        self._plain: WholeEvents | None = None  # The same, where nothing else reads the stream.
        self._held: list[bytes] | None = None
        self._size = 0
        self._end = StreamEnd.FRAMING
        self._length = None if inflate else reply.head.length  # Of what `tail` counts.
        self._transcript: Transcript | None = None
        self._counting: Task[None] | None = None
        self._sent = sent
        self._opening: Opening | None = None
        self._late: TimerHandle | None = None
        self.failure: UpstreamError | None = None  # Which we found ourselves.
        waits = False  # Until its opening is known.
        if reply.head.is_events and (inflate or reply.head.coding is None):
            waits = self._read_events(carries_on=carries_on)
        if carries_on:
            self._writer = out.go_on(answer)
        elif reply.head.is_json:
            self._held = []
        elif not waits:
            self._start()

    def _read_events(self, *, carries_on: bool) -> bool:
        """Make ready for a stream of events; whether its opening waits for content."""
        x, sent = self._x, self._sent
        first = x.filters[0] if x.filters else None
        self._events = first if isinstance(first, WholeEvents) else WholeEvents()
        if first is not self._events:
            x.filters.insert(0, self._events)
        self._end = x.operation.stream_end
        self._transcript = x.runtime.tokens.listen(x)
        if self._transcript is not None:
            x.watch(self._transcript.feed)
            if carries_on and sent is not None and x.attempts[-1].rescue == "restart":
                self._transcript.feed(said_again(sent))  # Its vendor says that, too.
        if carries_on:
            return False
        waits = x.tries is not None and x.tries.has_more
        if waits:
            self._open_later()
        if sent is not None:
            x.watch(sent.feed)
        return waits

    def sink(self, data: bytes) -> None:
        """One read from the vendor."""
        if self._plain is None or self._writer is None:
            self._sieve(data)
            return
        self._tail.feed(data)
        data = self._plain.feed(data)
        if data and says_end(data, self._end):
            data = self._last_piece(data)
        if data:
            self._writer.piece(data)

    def _sieve(self, data: bytes) -> None:
        """The same where more is to be done than to pass on."""
        if self._inflate is not None:
            data = self._inflate.feed(data)
        x = self._x
        self._tail.feed(data)
        try:
            for decoder in x.filters:
                data = decoder.feed(data)
        except UpstreamError as error:
            self.failure = error  # Ours: the vendor's own end heals nothing.
            raise
        if data and self._opening is not None:
            data = self._opened(self._opening, data)
        if data:
            if self._sent is not None and not x.finished and tells_error(data):
                raise self._told(data_of_error(data))
            if says_end(data, self._end) or self._tail.total == self._length:
                data = self._last_piece(data)
            if data:
                self._emit(data)

    @property
    def is_inside(self) -> bool:
        """Whether what has gone out ends within an event."""
        return self._events is None or self._events.inside

    @property
    def has_ended(self) -> bool:
        """Whether the stream itself has said that it is at its end."""
        if self.failure is not None or self._end is StreamEnd.FRAMING:
            return False
        return is_whole(self._tail.last(), self._end)

    async def finish(self) -> None:
        """The vendor's body ended where it should. Raises Cut if the stream says otherwise."""
        if self._counting is not None:
            await self._counting
        forgot_done = False
        if not is_whole(last := self._tail.last(), self._end):
            forgot_done = self._end is StreamEnd.DONE and lacks_only_done(last)
            if not forgot_done:
                raise Cut("the vendor's stream ended before its last event")
        rest = self._rest()
        if self._held is None:
            await self._finish_pieces(rest, forgot_done=forgot_done)
        else:
            await self._finish_held(self._held, rest)

    async def _finish_pieces(self, rest: bytes, *, forgot_done: bool) -> None:
        x = self._x
        if self._opening is not None:
            rest = self._opening.finish() + rest
            self._begin()
        if not x.finished:
            await self._count_rest(rest)
        self._complete()
        if rest:
            self._emit(rest)
        if forgot_done:
            self._emit(b"data: [DONE]\n\n")
        self._out.end()

    async def _finish_held(self, held: list[bytes], rest: bytes) -> None:
        x = self._x
        body = b"".join(held) + rest
        refuse_unfinished(x, self._reply, body)
        if not x.finished and x.runtime.tokens.wants(x):
            await x.runtime.tokens.count(x, body)
        x.complete()
        for watcher in x.watchers:
            watcher(body)
        tell_cost(x, self._reply.headers)
        self._out.whole(self._reply.status, self._reply.headers, body)

    def close(self) -> None:
        """Nothing of this goes on behind its end."""
        if self._counting is not None:
            self._counting.cancel()
        if self._late is not None:
            self._late.cancel()

    def _open_later(self) -> None:
        """Send nothing before there is content, and wait for that no longer than for a first
        token."""
        attempt = self._x.attempts[-1]
        self._opening = Opening()
        left = attempt.target.provider.timeouts.first_token - (monotonic() - attempt.started)
        self._late = asyncio.get_running_loop().call_later(max(0.0, left), self._give_up)

    def _give_up(self) -> None:
        self._late = None
        self.failure = TimedOut("no content within timeouts.first_token", phase="first_token")
        self._answer.abort()

    def _opened(self, opening: Opening, data: bytes) -> bytes:
        data = opening.feed(data)
        if data:
            self._begin()
        elif opening.error is not None:
            raise self._told(opening.error)
        return data

    def _told(self, body: bytes) -> Refused:
        """The vendor says that there will be no answer, or no more of it."""
        self.failure = refused = _refused(body)
        return refused

    def _begin(self) -> None:
        """There is content: no other answer can take its place any more."""
        self._opening = None
        if self._late is not None:
            self._late.cancel()
            self._late = None
        self._start()

    def _last_piece(self, data: bytes) -> bytes:
        """What makes the answer whole: settled before it goes out, or held back to be counted."""
        x = self._x
        if x.finished:
            return data
        if self._held is not None:
            if self._size + len(data) > HOLD and not x.runtime.tokens.wants(x):
                x.complete()
            return data  # Else it waits in any case: `finish` judges the whole of it.
        if not x.runtime.tokens.wants(x) or self._transcript is None:
            self._complete()
            return data
        if not self.has_ended:
            return data  # A text that speaks of an end.
        self._transcript.feed(data)
        said = self._transcript.body()
        if said is None:
            self._complete()
            return data
        late = HeldBack(data)
        self._plain = None
        x.filters.append(late)  # What may follow queues up behind it.
        self._counting = Tasks().spawn(self._count(said, late), name=f"count {x.id}")
        return b""

    def _complete(self) -> None:
        """All is known: settle. A vendor's own error at the end passes as it came, but an answer
        that ends with one is not whole."""
        x = self._x
        if x.error is not None:
            return  # Said before.
        if x.finished or not x.attempts or not ends_in_error(last := self._tail.last(), self._end):
            x.complete()
            return
        x.error = error = _refused(data_of_error(last))
        x.attempts[-1].failed(x.id, error)
        x.settle()

    async def _count_rest(self, rest: bytes) -> None:
        """For a stream that ended without saying so in time."""
        x = self._x
        if not x.runtime.tokens.wants(x) or self._transcript is None:
            return
        self._transcript.feed(rest)
        said = self._transcript.body()
        if said is not None:
            await x.runtime.tokens.count(x, said)

    async def _count(self, said: bytes, late: HeldBack) -> None:
        x = self._x
        await x.runtime.tokens.count(x, said)
        x.filters.remove(late)
        self._complete()
        self._emit(late.finish())

    def fail(self, error: UpstreamError) -> None:
        """The answer broke off after its first byte: say so where that can be said."""
        self._x.settle()
        if self.is_inside:
            self._out.cut()
            return
        assert self._writer is not None
        self._writer.piece(errors.event(error))
        self._out.end()

    def _rest(self) -> bytes:
        """What the decoders still hold, each through those behind it."""
        rest = b"" if self._inflate is None else self._inflate.finish()
        for decoder in self._x.filters:
            rest = (decoder.feed(rest) if rest else b"") + decoder.finish()
        if rest and self._events is not None:
            rest += missing_end(rest)  # An event without its blank line is dropped by readers.
        return rest

    def _emit(self, data: bytes) -> None:
        held = self._held
        if held is None:
            self._send(data)
            return
        held.append(data)
        self._size += len(data)
        if self._size > HOLD:
            self._held = None
            self._start()
            self._send(b"".join(held))

    def _send(self, data: bytes) -> None:
        for watcher in self._x.watchers:
            watcher(data)
        assert self._writer is not None
        self._writer.piece(data)

    def _start(self) -> None:
        x, reply = self._x, self._reply
        changes = x.filters or self._inflate or self._sent is not None
        length = None if changes else reply.head.length
        self._writer = self._out.start(reply.status, reply.headers, self._answer, length)
        if not (x.watchers or self._inflate or self._sent) and self._length is None:
            self._plain = self._events if len(x.filters) == 1 else None


def refuse_unfinished(x: Exchange, reply: Reply, body: bytes) -> None:
    """Raises Malformed and Cut for a body that HTTP calls whole and that cannot be."""
    head = reply.head
    if reply.status != 200:
        return
    if not body:
        if x.operation.has_model:
            raise Malformed("the vendor's answer is empty")
    elif head.is_json and head.coding is None and not is_whole_json(body, framed=head.framed):
        raise Cut("the vendor's answer ended in the middle of its JSON")


def _refused(body: bytes) -> Refused:
    """What an error event in place of an answer means."""
    reason = reason_of_event(body)
    if not errors.is_openai_shape(body):
        body = b""
    return Refused(
        _STATUS_OF.get(reason, 502),
        "the vendor sent an error in place of an answer",
        body=body or None,
        reason=reason,
    )
