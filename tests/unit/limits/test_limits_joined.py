"""Admission and the first hold, asked for at once: the same is taken, told and given back."""

from dataclasses import replace

import pytest

from proxy.base.errors import BudgetExceeded, LimitReached, StoreUnavailable
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.gate import Rates
from proxy.core.quota import (
    Calendar,
    Demand,
    Grant,
    Quota,
    QuotaExceeded,
    QuotaUnknown,
    Rule,
    Scope,
    Sliding,
    Walls,
)
from proxy.core.target import Route, Target
from proxy.limits.bundles import Bundles
from proxy.limits.gate import GateOptions, LimitsGate
from proxy.limits.rulebook import Walled
from proxy.limits.waiting import WaitingRoom
from proxy.stores.memory.store import MemoryQuotas
from proxy.wire.body import Body
from proxy.wire.record import Usage
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import provider, simple
from tests.fakes.wire import FakeTransport

KEY = Scope("key", "k")
RAW = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5}'
HELD = len(RAW) + 64 + 10  # Nano-USD: a token of input costs 1, one of output 2.
PROVIDER = provider("p", FakeTransport())
TARGET = Target(PROVIDER, "m")


class Prices:
    """One price for everything."""

    def most(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        return Rates(1_000_000, 2_000_000, 0, 0, 0, 0, 4096, None, None)


class Elsewhere:
    """A store in memory that is asked as one over a wire is, and counts the questions."""

    def __init__(self) -> None:
        self.own = MemoryQuotas()
        self.asked: list[str] = []
        self.away = False

    def bind(self, rules: tuple[Rule, ...]) -> "ElsewhereQuota":
        return ElsewhereQuota(self, rules)

    def correct(self, id: str, money: int) -> None: ...

    def failing(self) -> str | None:
        return None

    async def run(self) -> None: ...

    async def close(self) -> None: ...


class ElsewhereQuota:
    def __init__(self, store: Elsewhere, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._store = store
        self.own: Quota = store.own.bind(rules)

    async def take(self, demand: Demand) -> Grant:
        if self._store.away:
            raise QuotaUnknown("it is away")
        self._store.asked.append(demand.id)
        return await self.own.take(demand)

    async def take_both(
        self, demand: Demand, other: Quota, other_demand: Demand
    ) -> tuple[Grant, Grant] | None:
        assert isinstance(other, ElsewhereQuota)
        if self._store.away:
            raise QuotaUnknown("it is away")
        self._store.asked.append(f"{demand.id} and {other_demand.id}")
        try:
            grant = await self.own.take(demand)
        except QuotaExceeded:
            return None
        try:
            return grant, await other.own.take(other_demand)
        except QuotaExceeded:
            grant.cancel()
            return None


class Walks:
    """Requests of one caller through a gate."""

    def __init__(self, rpm: int = 10, nano: int = 10 * HELD, *, joined: bool = True) -> None:
        self.rpm = Rule(KEY, "rpm", "requests", rpm, Sliding(60))
        self.budget = Rule(KEY, "budget per day", "money", nano, Calendar("day"))
        self.store = Elsewhere()
        bundles = Bundles(self.store, Walled({}, {}))
        options = GateOptions("deny", "deny", joined=joined)
        self.gate = LimitsGate(bundles, bundles, Prices(), WaitingRoom(), options)
        self.caller = Caller(
            "k", ModelPatterns.of(("*",)), walls=Walls((self.rpm,), (self.budget,))
        )

    def request(self, *targets: Target) -> Exchange:
        x = simple(FakeTransport(), FakeIncoming(RAW))
        x.body, x.model, x.caller = Body(RAW), "m", self.caller
        x.route = Route("m", targets or (TARGET,))
        return x

    async def admit(self, x: Exchange) -> None:
        if not self.gate.admit_now(x):
            await self.gate.admit(x)

    async def hold(self, x: Exchange, target: Target = TARGET) -> Attempt:
        attempt = Attempt(target)
        if not self.gate.hold_now(x, target, attempt):
            await self.gate.hold(x, target, attempt)
        x.attempts.append(attempt)
        return attempt

    async def left(self) -> tuple[int, int]:
        """Requests and money."""
        levels = []
        for rule, demand in ((self.rpm, Demand("look")), (self.budget, Demand("look"))):
            grant = await self.store.own.bind((rule,)).take(demand)
            levels.append(grant.levels()[0].remaining)
            grant.cancel()
        return levels[0] + 1, levels[1]


async def test_one_question() -> None:
    walks = Walks()
    x = walks.request()
    await walks.admit(x)
    attempt = await walks.hold(x)
    assert walks.store.asked == [f"{x.id} and {x.id}/1"]
    assert attempt.hold is not None and attempt.hold.money == HELD
    assert await walks.left() == (9, 9 * HELD)
    attempt.usage, attempt.cost, x.finished = Usage(1, 1), 3, True
    walks.gate.settle(x)
    assert await walks.left() == (9, 10 * HELD - 3)


async def test_a_second_try_holds_anew() -> None:
    walks = Walks()
    x = walks.request()
    await walks.admit(x)
    first = await walks.hold(x)
    second = await walks.hold(x)
    assert first.hold is not second.hold
    assert walks.store.asked[1:] == [f"{x.id}/2"]


async def test_nothing_is_kept_where_no_try_came() -> None:
    walks = Walks()
    x = walks.request()
    await walks.admit(x)
    assert await walks.left() == (9, 9 * HELD)
    walks.gate.settle(x)
    walks.gate.settle(x)
    assert await walks.left() == (10, 10 * HELD)


async def test_another_target_is_asked_for_anew() -> None:
    walks = Walks()
    x = walks.request()
    await walks.admit(x)
    other = Target(replace(PROVIDER, name="q"), "m")
    await walks.hold(x, other)
    assert walks.store.asked[1:] == [f"{x.id}/1"]
    assert await walks.left() == (9, 9 * HELD)


async def test_another_body_is_asked_for_anew() -> None:
    walks = Walks()
    x = walks.request()
    await walks.admit(x)
    x.body, x.need = Body(RAW.replace(b"hi", b"hi there")), None  # As core/fitting.py does.
    await walks.hold(x)
    assert await walks.left() == (9, 9 * HELD - 6)


@pytest.mark.parametrize("targets", [(), (TARGET, TARGET)])
async def test_two_questions_where_it_may_go_elsewhere(targets: tuple[Target, ...]) -> None:
    walks = Walks(joined=bool(targets))
    x = walks.request(*targets)
    await walks.admit(x)
    await walks.hold(x)
    assert walks.store.asked == [x.id, f"{x.id}/1"]


async def test_a_limit_refuses_as_ever() -> None:
    walks = Walks(rpm=1)
    first, second = walks.request(), walks.request()
    await walks.admit(first)
    with pytest.raises(LimitReached):
        await walks.admit(second)
    walks.gate.settle(second)
    walks.gate.settle(first)
    assert await walks.left() == (1, 10 * HELD)


async def test_a_budget_refuses_as_ever() -> None:
    walks = Walks(nano=HELD - 1)
    x = walks.request()
    await walks.admit(x)
    with pytest.raises(BudgetExceeded):
        await walks.hold(x)
    walks.gate.settle(x)
    assert await walks.left() == (10, HELD - 1)


async def test_the_store_is_away() -> None:
    walks = Walks()
    walks.store.away = True
    x = walks.request()
    with pytest.raises(StoreUnavailable, match="limits cannot be counted"):
        await walks.admit(x)
    walks.store.away = False
    walks.gate.settle(x)
    assert await walks.left() == (10, 10 * HELD)
