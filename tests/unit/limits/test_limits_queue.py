"""Queues before providers: bounded, no longer than a connection may take, and nobody overtakes."""

import asyncio
from dataclasses import replace

import pytest

from proxy.base.errors import BudgetExceeded, LimitReached
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.gate import Rates
from proxy.core.outgoing import Timeouts
from proxy.core.policy import Fallback, Policy
from proxy.core.quota import Calendar, Rule, Scope, Sliding, Walls
from proxy.core.target import Provider, Route, Target
from proxy.limits.bundles import Bundles
from proxy.limits.gate import GateOptions, LimitsGate
from proxy.limits.queues import Queue, room_of_provider
from proxy.limits.rulebook import Walled
from proxy.limits.waiting import WaitingRoom
from proxy.stores.memory.store import MemoryQuotas
from proxy.wire.body import Body
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import provider, simple
from tests.fakes.wire import FakeTransport

VENDOR = Scope("provider", "p")
RAW = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5}'


class Prices:
    """One price for everything."""

    def most(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        return Rates(1_000_000, 2_000_000, 0, 0, 0, 0, 4096, None, None)


def slots(limit: int) -> Walls:
    return Walls((Rule(VENDOR, "concurrency", "concurrency", limit, None),))


def per_minute(limit: int) -> Walls:
    return Walls((Rule(VENDOR, "rpm", "requests", limit, Sliding(60)),))


class Desk:
    """A gate before one provider with a queue."""

    def __init__(self, walls: Walls, most: int = 10, connect: float = 20.0) -> None:
        self.now = 1000.0
        self.room = room_of_provider()
        store = MemoryQuotas(monotonic=lambda: self.now)
        bundles = Bundles(store, Walled({}, {}))
        self.gate = LimitsGate(
            bundles,
            bundles,
            Prices(),
            WaitingRoom(),
            GateOptions(),
            queues={"p": Queue(self.room, most)},
        )
        self.provider: Provider = replace(
            provider("p", FakeTransport()), walls=walls, timeouts=Timeouts(connect=connect)
        )
        self.served: list[str] = []

    def request(self, key: str = "k", total: float = 600.0) -> Exchange:
        x = simple(FakeTransport(), FakeIncoming(RAW))
        x.body, x.model = Body(RAW), "m"
        x.caller = Caller(key, ModelPatterns.of(("*",)))
        policy = Policy(fallback=Fallback(total=total))
        x.route = Route("m", (Target(self.provider, "m"),), policy=policy)
        return x

    async def hold(self, x: Exchange) -> Exchange:
        attempt = Attempt(Target(self.provider, "m"))
        if not self.gate.hold_now(x, attempt.target, attempt):
            await self.gate.hold(x, attempt.target, attempt)
        x.attempts.append(attempt)
        self.served.append(x.caller.name)
        return x

    async def waits(self, x: Exchange) -> "asyncio.Task[Exchange]":
        before = self.room.waiting
        task = asyncio.get_running_loop().create_task(self.hold(x))
        async with asyncio.timeout(5):
            while self.room.waiting == before:
                await asyncio.sleep(0)
        return task


async def test_who_waits_has_the_next_place() -> None:
    desk = Desk(slots(1))
    first = await desk.hold(desk.request())
    task = await desk.waits(desk.request())
    desk.gate.settle(first)
    second = await task
    assert second.attempts[0].hold is not None
    assert desk.room.waiting == 0
    desk.gate.settle(second)
    await desk.hold(desk.request())


async def test_room_in_a_rate_is_found() -> None:
    desk = Desk(per_minute(1))
    await desk.hold(desk.request())
    task = await desk.waits(desk.request())
    desk.now += 62
    await task


async def test_it_is_bounded() -> None:
    desk = Desk(slots(1), most=1)
    first = await desk.hold(desk.request())
    task = await desk.waits(desk.request())
    with pytest.raises(LimitReached):
        await desk.hold(desk.request())
    desk.gate.settle(first)
    await task


@pytest.mark.parametrize(("connect", "total"), [(0.03, 600.0), (20.0, 0.03), (20.0, 0.0)])
async def test_the_wait_ends(connect: float, total: float) -> None:
    desk = Desk(slots(1), connect=connect)
    await desk.hold(desk.request())
    async with asyncio.timeout(5):
        with pytest.raises(LimitReached):
            await desk.hold(desk.request(total=total))
    assert desk.room.waiting == 0
    assert not desk.room._halls


async def test_who_is_not_first_does_not_wait_longer() -> None:
    desk = Desk(slots(1), connect=20.0)
    await desk.hold(desk.request())
    first = await desk.waits(desk.request())
    desk.provider = replace(desk.provider, timeouts=Timeouts(connect=0.03))
    second = await desk.waits(desk.request())
    async with asyncio.timeout(5):
        with pytest.raises(LimitReached):
            await second
    assert not first.done()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert desk.room.waiting == 0


async def test_nobody_overtakes_at_once() -> None:
    desk = Desk(slots(1))
    first = await desk.hold(desk.request("a"))
    task = await desk.waits(desk.request("b"))
    desk.gate.settle(first)  # Who waits is woken in the next turn of the loop.
    late = desk.request("c")
    assert not desk.gate.hold_now(late, Target(desk.provider, "m"), Attempt(late.route.targets[0]))  # type: ignore[union-attr]
    behind = await desk.waits(late)
    desk.gate.settle(await task)
    await behind
    assert desk.served == ["a", "b", "c"]


async def test_keys_take_turns() -> None:
    desk = Desk(slots(1))
    held = await desk.hold(desk.request("first"))
    waiting = [await desk.waits(desk.request(key)) for key in ("many", "many", "many", "few")]
    desk.served.clear()
    left = set(waiting)
    async with asyncio.timeout(10):
        while left:
            desk.gate.settle(held)
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            (one,) = done
            held = one.result()
    assert desk.served[:2] == ["many", "few"]


async def test_budgets_are_not_waited_for() -> None:
    budget = Rule(VENDOR, "budget per day", "money", 1, Calendar("day"))
    desk = Desk(Walls(slots(5).rates, (budget,)))
    with pytest.raises(BudgetExceeded):
        await desk.hold(desk.request())
    assert desk.room.waiting == 0


async def test_what_never_fits_does_not_wait() -> None:
    desk = Desk(slots(0))
    with pytest.raises(LimitReached):
        await desk.hold(desk.request())


async def test_a_hedge_does_not_wait() -> None:
    desk = Desk(slots(1))
    x = await desk.hold(desk.request())
    x.attempts[0].sent()
    async with asyncio.timeout(5):
        with pytest.raises(LimitReached):
            await desk.hold(x)


async def test_who_goes_away_leaves_the_line() -> None:
    desk = Desk(slots(1))
    first = await desk.hold(desk.request())
    gone, stays = [await desk.waits(desk.request()) for _ in range(2)]
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    desk.gate.settle(first)
    await stays
