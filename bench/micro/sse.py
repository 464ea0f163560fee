"""What the framing of events costs a chunk, and its end a stream: `python -m bench.micro.sse`.

`WholeEvents` and `WithoutUsage` on reads of one event, of half an event and of twenty; the tail
that is remembered, and what is looked for in it at the end. Processor time, for each read.
"""

from collections.abc import Callable

from bench.micro.batches import HEAD, Row, row
from bench.micro.streams import ending, events
from bench.table import table
from proxy.wire.operations import StreamEnd
from proxy.wire.sse import WholeEvents, WithoutUsage
from proxy.wire.tail import Tail, ends_in_error, is_whole, says_end

_ONE = events(1)[0]
_NULL = events(1, usage=True)[0]
_HALF = (_ONE[: len(_ONE) // 2], _ONE[len(_ONE) // 2 :])
_TWENTY = b"".join(events(20))


def _full_tail() -> Tail:
    """As after a long stream."""
    tail = Tail()
    for event in events(100):
        tail.feed(event)
    tail.feed(ending(usage=True))
    return tail


def _halves(framing: WholeEvents) -> None:
    framing.feed(_HALF[0])
    framing.feed(_HALF[1])


def measure(rounds: int = 25) -> list[Row]:
    """A row for each step."""
    rows = [HEAD]

    def add(words: str, step: Callable[[WholeEvents], object], kind: type[WholeEvents]) -> None:
        rows.append(row(f"{kind.__name__}, {words}", step, kind, rounds=rounds))

    for kind in (WholeEvents, WithoutUsage):
        add("an event", lambda framing: framing.feed(_ONE), kind)
        add("an event, usage null", lambda framing: framing.feed(_NULL), kind)
        add("an event in two reads", _halves, kind)
        add("20 events", lambda framing: framing.feed(_TWENTY), kind)
        add("the end", lambda framing: framing.feed(ending(usage=True)), kind)
    tail = _full_tail()
    last = tail.last()

    def look(words: str, step: Callable[[Tail], object]) -> None:
        rows.append(row(words, step, lambda: tail, rounds=rounds))

    look("remember a read", lambda kept: kept.feed(_ONE))
    look("is it the last read", lambda _: says_end(_ONE, StreamEnd.DONE))
    look("16 kB: put together", lambda kept: kept.last())
    look("16 kB: is it whole", lambda _: is_whole(last, StreamEnd.DONE))
    look("16 kB: does it end in an error", lambda _: ends_in_error(last, StreamEnd.DONE))
    look("16 kB: usage", lambda kept: kept.usage())
    return rows


if __name__ == "__main__":
    print(table(measure()))
