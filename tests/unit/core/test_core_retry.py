"""Tries one after the other: cancelled anywhere, told by the table, continued more than once."""

from dataclasses import replace

import pytest

from proxy.base.errors import Cut, Reset
from proxy.base.jsonio import loads
from proxy.core.counting import NoCounter
from proxy.core.exchange import Exchange
from proxy.core.pauses import retry_after
from proxy.core.policy import Policy, Rescue, Retry
from proxy.wire.record import Usage
from tests.fakes.wire import EVENTS, JSON, FakeAnswer
from tests.unit.core.outcomes import DONE, LAST, USAGE
from tests.unit.core.test_core_money import BODY, OK, STREAM, streams
from tests.unit.core.test_core_rescue import said
from tests.unit.core.walled import Request, Transport, Vendor, every_cancellation

ABLE = frozenset(("chat", "prefill"))


def spoken(body: bytes) -> str:
    chunks = [loads(each[6:]) for each in body.split(b"\n\n") if each.startswith(b"data: {")]
    deltas = [each["choices"][0]["delta"] for each in chunks if each.get("choices")]
    return "".join(delta.get("content") or "" for delta in deltas)


async def test_cancelled_at_every_await_of_a_retry() -> None:
    def make() -> Request:
        again = Policy(Retry(3, 0.0001, 0.001))
        broken, good = FakeAnswer([b"{}"], JSON, 500), FakeAnswer([OK[:5], OK[5:]])
        return Request([Vendor(Transport(Reset("r"), broken, good), policy=again)], BODY)

    assert await every_cancellation(make) > 5


def twice_broken(way: Rescue) -> Request:
    """Each of the first two breaks off; the third is given, or repeats, all that was said."""
    policy = Policy(rescue=(way,))
    begun = said(b"Hel") if way == "restart" else said(b"r")
    ended = [said(b"Hello"), said(b" world")] if way == "restart" else [said(b"ld")]
    return Request(
        [
            Vendor(streams(said(b"Hello "), said(b"wo"), Cut("c")), policy=policy),
            Vendor(streams(begun, Cut("c")), policy=policy, capabilities=ABLE),
            Vendor(streams(*ended, LAST, USAGE, DONE), policy=policy, capabilities=ABLE),
        ],
        STREAM,
    )


@pytest.mark.parametrize("way", ["restart", "prefill"])
async def test_an_answer_is_carried_on_twice(way: Rescue) -> None:
    request = twice_broken(way)
    await request.run()
    request.check()
    assert request.x.finished and request.x.error is None
    assert spoken(request.out.body) == "Hello world"
    assert request.out.body.count(b'"llm_proxy"') == 1  # By whom it was finished.
    assert b'"provider":"p2"' in request.out.body


@pytest.mark.parametrize("way", ["restart", "prefill"])
async def test_cancelled_at_every_await_of_a_rescue(way: Rescue) -> None:
    assert await every_cancellation(lambda: twice_broken(way)) > 10


@pytest.mark.parametrize(
    "date",
    [
        b"Fri, 31 Dec 99999999999 23:59:59 GMT",
        b"Mon, 01 Jan 2025 00:00:00 +99999999999999999999",
        b"Mon, 99999999999999999999999 Jan 2025 00:00:00 GMT",
        b"\xff\xfe",
        b"soon",
    ],
)
def test_a_retry_after_that_no_calendar_has_says_nothing(date: bytes) -> None:
    assert retry_after(((b"Retry-After", date),)) is None


async def test_a_stream_that_is_whole_stays_whole_whatever_its_vendor_says_behind() -> None:
    """Remembered for a rescue, it is looked at for errors; behind `[DONE]` there are none."""
    told = b'data: {"error":{"message":"m","type":"overloaded_error"}}\n\n'
    policy = Policy(rescue=("restart",))
    first = Transport(FakeAnswer([said(b"Hi"), LAST, DONE, told], EVENTS))
    request = Request([Vendor(first, policy=policy), Vendor(streams())], STREAM)
    await request.run()
    assert request.x.finished and request.x.error is None
    assert request.out.body.startswith(said(b"Hi") + LAST + DONE)
    assert b"event: error" not in request.out.body


class Kept:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def feed(self, data: bytes, /) -> None:
        self.pieces.append(data)

    def body(self) -> bytes | None:
        return b"".join(self.pieces)


class Counter(NoCounter):
    """Notes what it was to count."""

    def __init__(self) -> None:
        self.counted = b""

    def listen(self, _x: Exchange, /) -> Kept:
        return Kept()

    def wants(self, x: Exchange, /) -> bool:
        return x.counted is None and b'"usage"' not in x.tail.last()

    async def count(self, x: Exchange, body: bytes, /) -> None:
        self.counted, x.counted = body, Usage(1, 1)


async def test_what_a_vendor_had_to_repeat_is_counted_as_its_own_words() -> None:
    policy = Policy(rescue=("restart",))
    first = streams(said(b"Hello "), Cut("c"))
    second = streams(said(b"Hello "), said(b"world"), LAST, DONE)
    request = Request([Vendor(first, policy=policy), Vendor(second)], STREAM)
    counter = Counter()
    request.x.runtime = replace(request.x.runtime, tokens=counter)
    await request.run()
    request.check()
    assert spoken(counter.counted) == "Hello world"
