"""What the relay costs a chunk, without sockets: `python -m bench.micro.relay`.

`AnswerStream.sink`, as the vendor's connection calls it, with an `Out` that does nothing, for each
way a stream may go: usage asked for by the caller, or by us and to be hidden; what goes out
remembered for a rescue; the opening held back. And an answer that is here whole. Processor time;
the last reads of a stream and its settlement are apart.
"""

from collections.abc import Callable, Iterator

from bench.answers import CHAT_BODY
from bench.micro.batches import HEAD, Row, cost, row
from bench.micro.body import exchange
from bench.micro.streams import ending, events
from bench.requests import chat_body
from bench.table import table
from proxy.base.turn import Turn
from proxy.core.ports import Answer, RawHeaders, Sink
from proxy.core.relay import relay
from proxy.core.reply import Reply
from proxy.core.stream import AnswerStream
from proxy.core.writer import Writer
from proxy.wire.continuation import Sent
from proxy.wire.sse import WithoutUsage

_BODY = chat_body(1, "gpt-4o", stream=True)
_EVENTS = events(100, usage=True)
_END = ending(usage=True)
_HEADERS = [(b"content-type", b"text/event-stream")]
_JSON = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(CHAT_BODY))]


class _Answer:
    """The port `Answer`, whose body is here."""

    status = 200
    headers: RawHeaders = ()

    here = True

    async def ready(self) -> None: ...

    async def read(self, _limit: int) -> bytes:
        return CHAT_BODY

    def take(self) -> bytes | None:
        return CHAT_BODY

    async def pump(self, sink: Sink) -> None:
        sink(CHAT_BODY)

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def abort(self) -> None: ...


class _Out:
    """The port `Out`, which leads nowhere."""

    started = False
    _writer = Writer(Turn())

    def add(self, lines: bytes) -> None: ...

    def whole(
        self, status: int, headers: RawHeaders, body: bytes, length: int | None = None
    ) -> None: ...

    def start(
        self, status: int, headers: RawHeaders, source: Answer, length: int | None = None
    ) -> Writer:
        return self._writer

    def go_on(self, source: Answer) -> Writer:
        return self._writer

    def end(self) -> None: ...

    def cut(self) -> None: ...

    full = False

    async def flush(self) -> None: ...


def _stream(*, hidden: bool = False, remembered: bool = False) -> AnswerStream:
    x, answer = exchange(_BODY), _Answer()
    x.stream = True
    if hidden:
        x.filters.append(WithoutUsage())
    reply = Reply(200, list(_HEADERS), answer=answer)
    return AnswerStream(x, reply, answer, _Out(), sent=Sent() if remembered else None)


def _hundred(stream: AnswerStream) -> None:
    for event in _EVENTS:
        stream.sink(event)


def _last(stream: AnswerStream) -> None:
    stream.sink(_END)
    _run(stream.finish())


def _run(steps: object) -> None:
    assert hasattr(steps, "send")
    try:
        steps.send(None)
    except StopIteration:
        return
    raise RuntimeError("it waits for something")


def _whole(reply: Reply) -> None:
    x = exchange(_BODY)
    x.reply = reply
    _run(relay(x, _Out()))


def measure(rounds: int = 15) -> list[Row]:
    """A row for each way."""
    rows = [HEAD]
    for words, make in _ways():
        best, middle = cost(_hundred, make, rounds, 20)
        rows.append((f"a chunk, {words}", f"{best / 100:.2f}", f"{middle / 100:.2f}"))
    for words, make in _ways():
        name = f"the last read and the end, {words}"
        rows.append(row(name, _last, _fed(make), rounds=rounds, batch=20))
    rows.append(row("a whole answer", _whole, _reply, rounds=rounds))
    rows.append(row("of that, the exchange", lambda _: exchange(_BODY), _reply, rounds=rounds))
    return rows


def _ways() -> Iterator[tuple[str, Callable[[], AnswerStream]]]:
    yield "usage asked for", _stream
    yield "usage hidden", lambda: _stream(hidden=True)
    yield "usage hidden, remembered", lambda: _stream(hidden=True, remembered=True)


def _fed(make: Callable[[], AnswerStream]) -> Callable[[], AnswerStream]:
    def made() -> AnswerStream:
        stream = make()
        _hundred(stream)
        return stream

    return made


def _reply() -> Reply:
    return Reply(200, list(_JSON), answer=_Answer())


if __name__ == "__main__":
    print(table(measure()))
