"""An open loop keeps to its schedule, and charges a server for everybody whom it kept waiting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice, pairwise
from statistics import mean, stdev

import pytest

from bench import answers
from bench.harness.alarm import Alarm
from bench.harness.asks import Place, prepare
from bench.harness.loops import ClosedLoop, Load, OpenLoop, Times
from bench.harness.recorder import Recorder
from bench.harness.scenarios import SCENARIOS, Shape
from bench.harness.schedule import due_times
from proxy.base.clock import monotonic

STALL = 0.3


def test_a_fixed_rate_has_no_error_that_grows() -> None:
    due = list(islice(due_times("fixed", 300.0, seed=1), 30_001))
    assert due[0] == 0.0
    assert due[-1] == pytest.approx(100.0)
    assert all(b > a for a, b in pairwise(due))


def test_poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() -> None:
    due = list(islice(due_times("poisson", 200.0, seed=7), 50_000))
    gaps = [b - a for a, b in pairwise(due)]
    assert mean(gaps) == pytest.approx(1 / 200, rel=0.03)
    assert stdev(gaps) == pytest.approx(1 / 200, rel=0.03)
    assert due == list(islice(due_times("poisson", 200.0, seed=7), 50_000))
    assert due != list(islice(due_times("poisson", 200.0, seed=8), 50_000))


async def test_an_alarm_rings_at_its_time_and_not_before() -> None:
    rang = asyncio.Event()
    alarm = Alarm(rang.set)
    due = monotonic() + 0.0153
    alarm.at(due)
    async with asyncio.timeout(5):
        await rang.wait()
    assert monotonic() >= due
    rang.clear()
    alarm.at(monotonic() - 1)  # What is over rings at once.
    async with asyncio.timeout(5):
        await rang.wait()
    alarm.close()


@asynccontextmanager
async def stalls_once() -> AsyncIterator[str]:
    """A server that answers at once, but stops for a while after its tenth answer."""
    loop = asyncio.get_running_loop()
    answered = 0
    until = 0.0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered, until
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                answered += 1
                if answered == 10:
                    until = loop.time() + STALL
                await asyncio.sleep(max(until - loop.time(), 0.0))
                writer.write(answers.CHAT)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def run(url: str, shape: Shape, *, seconds: float = 0.8) -> Recorder:
    place, recorder, now = Place.of(url), Recorder(), monotonic()
    ask = prepare(SCENARIOS["chat"], place, "sk-test", "bench-chat")
    times = Times(now, now, now + seconds, silence=5.0)
    load: Load
    if shape.rate is None:
        load = ClosedLoop(place, ask, recorder, times, shape)
    else:
        load = OpenLoop(place, ask, recorder, times, shape, seed=1)
    await load.run()
    return recorder


async def test_a_stall_is_charged_for_all_who_waited() -> None:
    async with stalls_once() as url:
        found = await run(url, Shape(64, rate=100.0, arrivals="fixed"))
    assert found.errors == {}
    assert (found.sent, found.latencies.total, found.unfinished) == (80, 80, 0)
    # A third of all requests were due while nothing was answered: the median hides it, 80 % not.
    assert found.latencies.quantiles([0.8])[0] > STALL / 5
    assert found.latencies.most > STALL * 0.9


async def test_those_who_wait_for_a_connection_are_charged_too() -> None:
    async with stalls_once() as url:
        found = await run(url, Shape(1, rate=100.0, arrivals="fixed"))
    assert found.errors == {}
    assert (found.sent, found.latencies.total) == (80, 80)
    assert found.latencies.quantiles([0.8])[0] > STALL / 5
    assert found.late > 0


async def test_a_closed_loop_waits_for_answers() -> None:
    async with stalls_once() as url:
        found = await run(url, Shape(connections=1))
    assert found.errors == {}
    slow = [share for share in (0.5, 0.99) if found.latencies.quantiles([share])[0] > STALL / 5]
    assert slow == []  # One answer was slow: this is what an open loop is for.
    assert found.latencies.most > STALL * 0.9


async def test_nobody_there_is_counted_in_either_loop() -> None:
    async with stalls_once() as url:
        pass
    closed = await run(url, Shape(connections=2), seconds=0.3)
    opened = await run(url, Shape(8, rate=100.0), seconds=0.3)
    for found in (closed, opened):
        assert set(found.errors) == {"connect"}
        assert found.latencies.total == 0
