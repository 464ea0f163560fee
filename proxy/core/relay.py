"""The answer on its way to the caller, piece by piece, in the loop turn each piece arrives.

The path is chosen once, from the head:

- a small body that is here already: head and body in one write;
- JSON: held until it is whole (up to `HOLD`), so that a body that is cut becomes a clear error;
- events: forwarded event by event, so that a stream that is cut ends between two events and an
  error event can follow; never `[DONE]` after a cut;
- what came compressed although nobody asked for it, and must be read: decompressed;
- all else: bytes as they come; a cut closes the connection without the end of the body.

An answer that came without usage may have its tokens counted (core/counting.py): its last piece
waits for that, and nothing else does.
"""

from typing import Final

from proxy.base.errors import UpstreamError
from proxy.core.cost_told import tell_cost
from proxy.core.exchange import Exchange
from proxy.core.ports import Answer, Out
from proxy.core.reply import Reply
from proxy.core.rescue import may_need_rescue, rescue
from proxy.core.stream import AnswerStream, refuse_unfinished
from proxy.wire.coding import Inflate, is_gzip
from proxy.wire.continuation import Sent
from proxy.wire.headers import without

_WITHOUT_BODY: Final = frozenset({204, 304})


async def relay(x: Exchange, out: Out) -> None:
    """Send the reply. Raises UpstreamError only while nothing was sent."""
    reply = x.reply
    assert reply is not None  # admit or dispatch made one.
    answer = reply.answer
    try:
        x.announce(reply)
        if x.teller is not None:
            out.add(reply.lines)
        if answer is None:
            x.complete()
            out.whole(reply.status, reply.headers, reply.body)
        elif _passes_unread(x, reply) and (body := answer.take()) is not None:
            x.tail.feed(body)  # Whatever is wrong with it, it was paid for.
            refuse_unfinished(x, reply, body)
            if x.runtime.tokens.wants(x):
                await x.runtime.tokens.count(x, body)
            x.complete()
            tell_cost(x, reply.headers)
            out.whole(reply.status, reply.headers, body)
        else:
            await _relay_as_it_comes(x, reply, answer, out)
    except BaseException:
        if answer is not None:
            answer.abort()
        raise
    if out.full:
        await out.flush()


def _passes_unread(x: Exchange, reply: Reply) -> bool:
    """Whether the body goes out as it is, should it be here already."""
    head = reply.head
    if x.filters or x.watchers or head.is_events or x.incoming.method == "HEAD":
        # Behind such a head even the last chunk would be read as the beginning of the next answer.
        return reply.status in _WITHOUT_BODY
    return head.coding is None or not _is_inflated(x, reply)


async def _relay_as_it_comes(x: Exchange, reply: Reply, answer: Answer, out: Out) -> None:
    if x.incoming.method == "HEAD":
        await answer.pump(_drop)  # Not `read`: a coding is named and no body has it.
        x.complete()
        out.whole(reply.status, reply.headers, b"", reply.head.length)
        return
    inflate = _inflate(x, reply)
    sent = Sent() if reply.head.is_events and not inflate and may_need_rescue(x) else None
    stream = AnswerStream(x, reply, answer, out, inflate, sent)
    error = first = await _passed_on(x, stream, answer)
    if error is not None and not out.started:
        reply.status = error.status  # What the caller is told in its place.
        raise error
    while error is not None and sent is not None and not stream.is_inside:
        other = await rescue(x, sent, error)
        if other is None or other.answer is None:
            break
        stream = AnswerStream(x, other, other.answer, out, sent=sent, carries_on=True)
        error = await _passed_on(x, stream, other.answer)
    if error is not None:
        x.error = first
        stream.fail(first or error)


async def _passed_on(x: Exchange, stream: AnswerStream, answer: Answer) -> UpstreamError | None:
    """Pass on all that comes; why that was not all, or None."""
    try:
        await _pump(answer, stream)
        await stream.finish()
    except UpstreamError as given:
        error = stream.failure or given
        if x.attempts:
            x.attempts[-1].failed(x.id, error)
        return error
    except BaseException:
        answer.abort()
        raise
    finally:
        stream.close()
    return None


async def _pump(answer: Answer, stream: AnswerStream) -> None:
    try:
        await answer.pump(stream.sink)
    except UpstreamError:
        if not stream.has_ended:
            raise  # What breaks off after the last event cuts nothing.


def _is_inflated(x: Exchange, reply: Reply) -> bool:
    """Whether the body is compressed and must be read."""
    coding = reply.head.coding
    if coding is None or not is_gzip(coding):
        return False
    return x.operation.has_usage or reply.head.is_events


def _inflate(x: Exchange, reply: Reply) -> Inflate | None:
    """A decoder for such a body, its header taken off."""
    if not _is_inflated(x, reply):
        return None
    reply.headers = without(reply.headers, b"content-encoding")
    return Inflate()


def _drop(_data: bytes) -> None:
    """Takes what an answer to HEAD must not have."""
