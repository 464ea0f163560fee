"""An attempt at another model than the one that took the request meets the walls of that model, and
what it costs is charged there: by the walls and by the sums alike."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from proxy.base.errors import AccessDenied, BudgetExceeded, LimitReached
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.gate import Rates
from proxy.core.quota import NO_WALLS, Calendar, QuickQuota, Rule, Scope, Sliding, Walls
from proxy.core.spending import charges
from proxy.core.target import Route, Target
from proxy.limits.bundles import Bundles
from proxy.limits.gate import GateOptions, LimitsGate
from proxy.limits.rulebook import Walled
from proxy.limits.waiting import WaitingRoom
from proxy.routing.catalogue import Models
from proxy.stores.memory.store import MemoryQuotas
from proxy.usage.recording import via
from proxy.wire.body import Body
from proxy.wire.record import AttemptRecord, Cost, Usage, UsageRecord
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, provider, runtime
from tests.fakes.wire import FakeTransport

RATES = Rates(1_000_000, 2_000_000, 0, 0, 0, 0, 4096, None, None)
RAW = b'{"model":"m","max_tokens":5}'
HELD = len(RAW) + 64 + 2 * 5
DAY = Calendar("day")


class Prices:
    """One price for everything."""

    def most(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        return RATES


def rpm(scope: Scope, limit: int) -> Rule:
    return Rule(scope, "rpm", "requests", limit, Sliding(60))


def slots(scope: Scope, limit: int) -> Rule:
    return Rule(scope, "concurrency", "concurrency", limit, None)


def budget(scope: Scope, nano: int) -> Rule:
    return Rule(scope, "budget per day", "money", nano, DAY)


M, OTHER, KEY = Scope("model", "m"), Scope("model", "o"), Scope("key", "k")
KEY_M, KEY_O, KEY_ALL = (Scope("key_model", f"k/{name}") for name in ("m", "o", "*"))
PLENTY = 10**9


class Desk:
    """A gate around the models `m` and `o`, at one provider, and requests for `m`."""

    def __init__(
        self,
        *,
        m: Walls = NO_WALLS,
        o: Walls = NO_WALLS,
        per_model: Mapping[str, Walls] | None = None,
        stored: Mapping[Scope, Walls] | None = None,
    ) -> None:
        self.store = MemoryQuotas()
        bundles = Bundles(self.store, Walled(stored or {}, {}))
        self.gate = LimitsGate(bundles, bundles, Prices(), WaitingRoom(), GateOptions())
        at = provider("p", FakeTransport())
        self.m, self.o = Target(at, "m", route="m", walls=m), Target(at, "o", route="o", walls=o)
        self.routes = {"m": Route("m", (self.m,), walls=m), "o": Route("o", (self.o,), walls=o)}
        self.caller = Caller(
            "k",
            ModelPatterns.of(("*",)),
            walls=Walls((), (budget(KEY, PLENTY),)),
            per_model=tuple(
                (ModelPatterns.of((name,)), walls) for name, walls in (per_model or {}).items()
            ),
        )
        self.requests = 0

    def request(self) -> Exchange:
        run = runtime({"m": (self.m,)})
        x = exchange(replace(run, catalogue=Models(self.routes.values())), FakeIncoming(RAW))
        x.caller, x.body, x.model, x.route = self.caller, Body(RAW), "m", self.routes["m"]
        return x

    async def held(self, *targets: Target) -> Exchange:
        """A request that was admitted, with an attempt at each of these."""
        x = self.request()
        await self.gate.admit(x)
        try:
            for target in targets:
                attempt = Attempt(target)
                await self.gate.hold(x, target, attempt)
                x.attempts.append(attempt)
        except BaseException:
            self.settle(x, *(0 for _ in x.attempts))
            raise
        return x

    def settle(self, x: Exchange, *costs: int) -> None:
        for attempt, cost in zip(x.attempts, costs, strict=True):
            attempt.usage, attempt.cost = Usage(1, 1), cost
        x.finished = True
        self.gate.settle(x)

    def left(self, rule: Rule) -> int:
        quota = self.store.bind((rule,))
        assert isinstance(quota, QuickQuota)
        grant = quota.take_now(0, 0, 0)
        if grant is None:
            return 0
        (level,) = grant.levels()
        grant.cancel()
        return level.remaining


async def test_a_hard_budget_of_a_fallback_is_never_exceeded() -> None:
    wall = budget(OTHER, 2 * HELD)
    desk = Desk(o=Walls((), (wall,)))
    first, second = await desk.held(desk.o), await desk.held(desk.m, desk.o)
    with pytest.raises(BudgetExceeded, match="model"):
        await desk.held(desk.m, desk.o)
    desk.settle(first, 40)
    desk.settle(second, 7, 50)
    assert desk.left(wall) == 2 * HELD - 90


async def test_what_a_fallback_costs_is_no_matter_of_the_model_asked_for() -> None:
    wall = budget(M, HELD)
    desk = Desk(m=Walls((), (wall,)))
    x = await desk.held(desk.m, desk.o)
    desk.settle(x, 5, 60)
    assert desk.left(wall) == HELD - 5
    assert desk.left(budget(KEY, PLENTY)) == PLENTY - 65


async def test_the_rates_of_the_model_asked_for_are_taken_once() -> None:
    desk = Desk(m=Walls((rpm(M, 2),)))
    for _ in range(2):
        desk.settle(await desk.held(desk.m, desk.o), 1, 1)
    with pytest.raises(LimitReached):
        await desk.held(desk.o)


@pytest.mark.parametrize("make", [rpm, slots])
@pytest.mark.parametrize("scope", [OTHER, KEY_O], ids=str)
async def test_the_rates_of_a_fallback_are_asked_for_each_attempt(
    make: Callable[[Scope, int], Rule], scope: Scope
) -> None:
    walls = Walls((make(scope, 1),))
    desk = Desk(o=walls) if scope is OTHER else Desk(per_model={"o": walls})
    x = await desk.held(desk.o)
    with pytest.raises(LimitReached, match=scope.name):
        await desk.held(desk.m, desk.o)
    desk.settle(await desk.held(desk.m), 1)
    desk.settle(x, 1)
    if make is slots:
        desk.settle(await desk.held(desk.o), 1)


async def test_its_tokens_become_those_that_were_used() -> None:
    rule = Rule(OTHER, "tpm", "tokens", 3 * HELD, Sliding(60))
    desk = Desk(o=Walls((rule,)))
    desk.settle(await desk.held(desk.m, desk.o), 1, 1)
    assert desk.left(rule) == 3 * HELD - 2


async def test_a_budget_of_a_key_for_the_fallback() -> None:
    own, other = budget(KEY_O, HELD), budget(KEY_M, HELD)
    desk = Desk(per_model={"o": Walls((), (own,)), "m": Walls((), (other,))})
    x = await desk.held(desk.m, desk.o)
    with pytest.raises(BudgetExceeded, match="k/o"):
        await desk.held(desk.o)
    desk.settle(x, 3, 8)
    assert (desk.left(own), desk.left(other)) == (HELD - 8, HELD - 3)


async def test_a_pattern_that_both_models_have_is_taken_from_once() -> None:
    walls = Walls((rpm(KEY_ALL, 2), slots(KEY_ALL, 1)), (budget(KEY_ALL, 1000),))
    desk = Desk(per_model={"*": walls})
    for _ in range(2):
        desk.settle(await desk.held(desk.m, desk.o), 2, 3)
    assert desk.left(walls.budgets[0]) == 1000 - 10
    with pytest.raises(LimitReached):
        await desk.held(desk.o)


@pytest.mark.parametrize(("most", "passes"), [(len(RAW) + 64 + 5, True), (len(RAW) + 68, False)])
async def test_the_length_that_a_fallback_takes(most: int, passes: bool) -> None:
    desk = Desk(o=Walls((), (), most))
    desk.settle(await desk.held(desk.m), 1)
    if passes:
        desk.settle(await desk.held(desk.m, desk.o), 1, 1)
    else:
        with pytest.raises(LimitReached):
            await desk.held(desk.m, desk.o)


async def test_walls_of_a_fallback_in_the_store() -> None:
    wall = budget(OTHER, HELD)
    desk = Desk(stored={OTHER: Walls((), (wall,))})
    desk.settle(await desk.held(desk.o), HELD)
    with pytest.raises(BudgetExceeded):
        await desk.held(desk.o)


async def test_a_fallback_that_is_blocked_in_the_store() -> None:
    class Blocked:
        def walls(self, scope: Scope) -> Walls | None:
            if scope == OTHER:
                raise AccessDenied("blocked")
            return None

    desk = Desk()
    bundles = Bundles(desk.store, Blocked())
    desk.gate = LimitsGate(bundles, bundles, Prices(), WaitingRoom(), GateOptions())
    desk.settle(await desk.held(desk.m), 1)
    with pytest.raises(AccessDenied):
        await desk.held(desk.o)


def recorded(x: Exchange) -> UsageRecord:
    tries = [
        AttemptRecord("p", each.model, 0, 1, cost=Cost(each.cost or 0), route=via(x, each))
        for each in x.attempts
    ]
    return UsageRecord(
        "r", 0, "w", "c", "chat", "completed", 200, 1, key="k", model="m", route="m",
        attempts=tuple(tries),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
async def test_walls_and_sums_charge_the_same(seed: int) -> None:
    """Random requests at once: no wall is ever exceeded, and what is charged is what adds up."""
    draw = random.Random(seed)
    scopes = M, OTHER, KEY_M, KEY_O
    walls = {scope: budget(scope, draw.randrange(4, 14) * HELD) for scope in scopes}
    everything = budget(KEY_ALL, 1000 * HELD)
    desk = Desk(
        m=Walls((), (walls[M],)),
        o=Walls((), (walls[OTHER],)),
        per_model={
            "m": Walls((), (walls[KEY_M],)),
            "o": Walls((), (walls[KEY_O],)),
            "*": Walls((), (everything,)),
        },
    )
    sums: dict[Scope, int] = {}
    total = refused = 0

    async def one() -> None:
        nonlocal total, refused
        targets = [draw.choice((desk.m, desk.o)) for _ in range(draw.randrange(1, 4))]
        try:
            x = await desk.held(*targets)
        except BudgetExceeded:
            refused += 1
            return
        await asyncio.sleep(0)
        desk.settle(x, *(draw.randrange(HELD + 1) for _ in targets))
        for charge in charges(recorded(x)):
            sums[charge.scope] = sums.get(charge.scope, 0) + charge.cost
        total += sum(each.cost or 0 for each in x.attempts)

    await asyncio.gather(*(one() for _ in range(40)))
    assert refused
    for scope, rule in walls.items():
        assert rule.limit - desk.left(rule) == sums.get(scope, 0) <= rule.limit
    assert 1000 * HELD - desk.left(everything) == total == sums[KEY]
