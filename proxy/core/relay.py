"""The answer on its way to the caller, piece by piece, in the loop turn each piece arrives.

The path is chosen once, from the head:

- a small body that is here already: head and body in one write;
- JSON: held until it is whole (up to `HOLD`), so that a body that is cut becomes a clear error;
- events: forwarded event by event, so that a stream that is cut ends between two events and an
  error event can follow; never `[DONE]` after a cut;
- what came compressed although nobody asked for it, and must be read: decompressed;
- all else: bytes as they come; a cut closes the connection without the end of the body.

Per piece there is no await, no clock, no task and no log: `_Stream.sink` is a plain function that
the vendor's connection calls.

An answer that came without usage may have its tokens counted (core/counting.py): its last piece
waits for that, and nothing else does.
"""

from typing import TYPE_CHECKING

from proxy.base.errors import Cut, Malformed, UpstreamError
from proxy.base.tasks import Tasks
from proxy.core.counting import HeldBack
from proxy.core.exchange import Exchange
from proxy.core.ports import Answer, Out
from proxy.core.reply import Reply
from proxy.wire import errors
from proxy.wire.coding import Inflate, is_gzip
from proxy.wire.headers import without
from proxy.wire.operations import StreamEnd
from proxy.wire.sse import WholeEvents, missing_end
from proxy.wire.tail import is_whole, is_whole_json, lacks_only_done, says_end

if TYPE_CHECKING:
    from asyncio import Task

    from proxy.core.counting import Transcript

HOLD = 1024 * 1024


async def relay(x: Exchange, out: Out) -> None:
    """Send the reply. Raises UpstreamError only while nothing was sent."""
    reply = x.reply
    assert reply is not None  # admit or dispatch made one.
    try:
        x.announce(reply)
        if reply.answer is None:
            x.complete()
            out.whole(reply.status, reply.headers, reply.body)
        else:
            await _relay_answer(x, reply, reply.answer, out)
    except BaseException:
        if reply.answer is not None:
            reply.answer.abort()
        raise
    await out.flush()


async def _relay_answer(x: Exchange, reply: Reply, answer: Answer, out: Out) -> None:
    if x.incoming.method == "HEAD":
        await answer.pump(_drop)  # Not `read`: a coding is named and no body has it.
        x.complete()
        out.whole(reply.status, reply.headers, b"", reply.head.length)
        return
    inflate = _inflate(x, reply)
    if not (x.filters or x.watchers or reply.head.is_events or inflate):
        body = answer.take()
        if body is not None:
            _refuse_unfinished(x, reply, body)
            x.tail.feed(body)
            if x.runtime.tokens.wants(x):
                await x.runtime.tokens.count(x, body)
            x.complete()
            out.whole(reply.status, reply.headers, body)
            return
    stream = _Stream(x, reply, answer, out, inflate)
    try:
        await _pump(answer, stream)
        await stream.finish()
    except UpstreamError as error:
        if x.attempts:
            x.attempts[-1].failed(x.id, error)
        if not out.started:
            reply.status = error.status  # What the caller is told in its place.
            raise
        x.error = error
        stream.fail(error)
    finally:
        stream.close()


async def _pump(answer: Answer, stream: "_Stream") -> None:
    try:
        await answer.pump(stream.sink)
    except UpstreamError:
        if not stream.has_ended:
            raise  # What breaks off after the last event cuts nothing.


class _Stream:
    """What happens to each piece, and at the end."""

    __slots__ = (
        "_answer",
        "_counting",
        "_end",
        "_events",
        "_held",
        "_inflate",
        "_out",
        "_reply",
        "_size",
        "_transcript",
        "_x",
    )

    def __init__(
        self, x: Exchange, reply: Reply, answer: Answer, out: Out, inflate: Inflate | None
    ) -> None:
        self._x = x
        self._reply = reply
        self._answer = answer
        self._out = out
        self._inflate = inflate
        self._events: WholeEvents | None = None
        self._held: list[bytes] | None = None
        self._size = 0
        self._end = StreamEnd.FRAMING
        self._transcript: Transcript | None = None
        self._counting: Task[None] | None = None
        if reply.head.is_events and (inflate or reply.head.coding is None):
            first = x.filters[0] if x.filters else None
            self._events = first if isinstance(first, WholeEvents) else WholeEvents()
            if first is not self._events:
                x.filters.insert(0, self._events)
            self._end = x.operation.stream_end
            self._transcript = x.runtime.tokens.listen(x)
            if self._transcript is not None:
                x.watch(self._transcript.feed)
        if reply.head.is_json:
            self._held = []
        else:
            self._start()

    def sink(self, data: bytes) -> None:
        """One read from the vendor."""
        if self._inflate is not None:
            data = self._inflate.feed(data)
        x = self._x
        x.tail.feed(data)
        for decoder in x.filters:
            data = decoder.feed(data)
        if data:
            if says_end(data, self._end) or x.tail.total == self._reply.head.length:
                data = self._last_piece(data)
                if not data:
                    return
            self._emit(data)

    @property
    def has_ended(self) -> bool:
        """Whether the stream itself has said that it is at its end."""
        return self._end is not StreamEnd.FRAMING and is_whole(self._x.tail.last(), self._end)

    async def finish(self) -> None:
        """The vendor's body ended where it should. Raises Cut if the stream says otherwise."""
        x = self._x
        if self._counting is not None:
            await self._counting
        forgot_done = False
        if not is_whole(last := x.tail.last(), self._end):
            forgot_done = self._end is StreamEnd.DONE and lacks_only_done(last)
            if not forgot_done:
                raise Cut("the vendor's stream ended before its last event")
        rest = self._rest()
        if self._held is None:
            if not x.finished:
                await self._count_rest(rest)
            x.complete()
            if rest:
                self._emit(rest)
            if forgot_done:
                self._emit(b"data: [DONE]\n\n")
            self._out.end()
            return
        body = b"".join(self._held) + rest
        _refuse_unfinished(x, self._reply, body)
        if not x.finished and x.runtime.tokens.wants(x):
            await x.runtime.tokens.count(x, body)
        x.complete()
        self._out.whole(self._reply.status, self._reply.headers, body)

    def close(self) -> None:
        """Nothing of this goes on behind its end."""
        if self._counting is not None:
            self._counting.cancel()

    def _last_piece(self, data: bytes) -> bytes:
        """What makes the answer whole: settled before it goes out, or held back to be counted."""
        x = self._x
        if x.finished:
            return data
        if self._held is not None:
            if not x.runtime.tokens.wants(x):
                x.complete()
            return data  # It waits in any case: `finish` has the whole of it.
        if not x.runtime.tokens.wants(x) or self._transcript is None:
            x.complete()
            return data
        if not self.has_ended:
            return data  # A text that speaks of an end.
        self._transcript.feed(data)
        said = self._transcript.body()
        if said is None:
            x.complete()
            return data
        late = HeldBack(data)
        x.filters.append(late)  # What may follow queues up behind it.
        self._counting = Tasks().spawn(self._count(said, late), name=f"count {x.id}")
        return b""

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
        x.complete()
        self._emit(late.finish())

    def fail(self, error: UpstreamError) -> None:
        """The answer broke off after its first byte: say so where that can be said."""
        self._x.settle()
        if self._events is None or self._events.inside:
            self._out.cut()
            return
        self._out.write(errors.event(error))
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
        for watcher in self._x.watchers:
            watcher(data)
        if held is None:
            self._out.write(data)
            return
        held.append(data)
        self._size += len(data)
        if self._size > HOLD:
            self._held = None
            self._start()
            self._out.write(b"".join(held))

    def _start(self) -> None:
        changes = self._x.filters or self._inflate
        length = None if changes else self._reply.head.length
        self._out.start(self._reply.status, self._reply.headers, self._answer, length)


def _inflate(x: Exchange, reply: Reply) -> Inflate | None:
    """A decoder for a body that is compressed and must be read, its header taken off."""
    coding = reply.head.coding
    if coding is None or not is_gzip(coding):
        return None
    if not (x.operation.has_usage or reply.head.is_events):
        return None
    reply.headers = without(reply.headers, b"content-encoding")
    return Inflate()


def _refuse_unfinished(x: Exchange, reply: Reply, body: bytes) -> None:
    """Raises Malformed and Cut for a body that HTTP calls whole and that cannot be."""
    head = reply.head
    if reply.status != 200:
        return
    if not body:
        if x.operation.has_model:
            raise Malformed("the vendor's answer is empty")
    elif head.is_json and head.coding is None and not is_whole_json(body, framed=head.framed):
        raise Cut("the vendor's answer ended in the middle of its JSON")


def _drop(_data: bytes) -> None:
    """Takes what an answer to HEAD must not have."""
