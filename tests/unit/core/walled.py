"""Exchanges behind real walls: the gate on a store in memory, records with prices, fake vendors.

A token of input costs 1 nano-USD, one of output 2. `Vendor` holds a head back as long as it is told
to; `every_cancellation` cancels a request at each of its awaits, one after the other.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.gate import Rates
from proxy.core.life import serve
from proxy.core.outgoing import Outgoing, Timeouts
from proxy.core.policy import USUAL, Policy
from proxy.core.ports import Answer
from proxy.core.quota import Calendar, Rule, Scope, Walls
from proxy.core.rules import Rule as Decision
from proxy.core.steps import Step
from proxy.core.target import Route, Target
from proxy.limits.bundles import Bundles
from proxy.limits.gate import GateOptions, LimitsGate
from proxy.limits.rulebook import Walled
from proxy.limits.waiting import WaitingRoom
from proxy.routing.catalogue import Models
from proxy.routing.health import Name, TargetHealth
from proxy.stores.memory.store import MemoryQuotas
from proxy.usage.pricer import Pricer
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import Price
from proxy.usage.prices.table import PriceTable
from proxy.usage.recording import Identity, record_of_exchange
from proxy.wire.record import UsageRecord
from tests.fakes.caller import FakeIncoming, FakeOut
from tests.fakes.exchange import exchange, provider, runtime
from tests.fakes.wire import FakeAnswer, FakeTransport

KEY = Scope("key", "k")
SEARCH = 5_000
RATES = Rates(1_000_000, 2_000_000, 0, SEARCH, 0, 0, 4096, 10_000, 1000)
PRICES = Pricer(
    PriceTable(in_force),
    {},
    {(f"p{n}", "*"): Price.of({"input": 1_000_000, "output": 2_000_000}) for n in range(4)},
)


class _Rates:
    def most(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        return RATES


class Transport(FakeTransport):
    """A vendor whose heads wait for `turns` of the loop each."""

    def __init__(self, *replies: FakeAnswer | Exception, turns: Iterable[int] = ()) -> None:
        super().__init__(*replies)
        self.turns = list(turns)

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Answer:
        for _ in range(self.turns.pop(0) if self.turns else 0):
            await asyncio.sleep(0)
        return await super().send(outgoing, timeouts)


class Ledger:
    """Makes the record of each exchange that ends, which tells its attempts what they cost."""

    def __init__(self) -> None:
        self.records: list[UsageRecord] = []

    def admit(self) -> None: ...

    def settle(self, x: Exchange, /) -> None:
        self.records.append(record_of_exchange(x, Identity("w"), PRICES))


@dataclass
class Vendor:
    """One target: what its vendor says, and what is configured of it."""

    transport: Transport
    route: str = "m"
    policy: Policy = USUAL
    capabilities: frozenset[str] | None = None
    window: int | None = None


@dataclass
class Request:
    """One request of a caller with a budget of so many nano-USD."""

    vendors: list[Vendor]
    body: bytes
    budget: int = 1_000_000
    rule: Decision | None = None
    last_step: Step | None = None
    name: str = "m"  # What vendors call the last model.
    out: FakeOut = field(default_factory=FakeOut)

    def __post_init__(self) -> None:
        self.ledger = Ledger()
        walls = Walls((), (Rule(KEY, "budget per day", "money", self.budget, Calendar("day")),))
        self.caller = Caller("k", ModelPatterns.of(("*",)), walls=walls)
        self.store = MemoryQuotas()
        bundles = Bundles(self.store, Walled({}, {}))
        gate = LimitsGate(bundles, bundles, _Rates(), WaitingRoom(), GateOptions())
        self.targets = tuple(self._target(place) for place in range(len(self.vendors)))
        run = runtime({"m": self.targets})
        own = tuple(each for each in self.targets if each.route == "m")
        first = Route("m", own, policy=self.vendors[0].policy)
        self.x = exchange(
            replace(run, catalogue=Models([first]), ledger=self.ledger, gate=gate),
            FakeIncoming(self.body),
        )
        self.x.caller = self.caller
        self.x.rule = self.rule

    def _target(self, place: int) -> Target:
        vendor = self.vendors[place]
        model = self.name if place + 1 == len(self.vendors) else "m"
        return Target(
            provider(f"p{place}", vendor.transport),
            model,
            route=vendor.route,
            policy=vendor.policy,
            capabilities=vendor.capabilities,
            context_window=vendor.window,
            health=TargetHealth(
                Name(vendor.route, f"p{place}", "m"), vendor.policy.breaker, _told, _like
            ),
        )

    async def run(self) -> None:
        def known(x: Exchange) -> None:
            x.caller, x.rule = self.caller, self.rule

        def planned(x: Exchange) -> None:
            x.plan = self.targets

        steps = self.x.runtime.middlewares
        at = [step.__name__ for step in steps].index("access")
        last = [self.last_step] if self.last_step is not None else []
        steps = (*steps[:at], known, *steps[at:], planned, *last)
        self.x.runtime = replace(self.x.runtime, middlewares=steps)
        await serve(self.x, self.out)

    def left(self) -> int:
        """Nano-USD of the budget that are neither spent nor held."""
        grant = self.store.bind(self.caller.walls.budgets).take_now(0, 0, 0)
        assert grant is not None
        (level,) = grant.levels()
        grant.cancel()
        return level.remaining

    @property
    def record(self) -> UsageRecord:
        (record,) = self.ledger.records
        return record

    def sent(self) -> list[bytes]:
        """The bodies that vendors got."""
        return [body for each in self.vendors for body in each.transport.bodies]

    def check(self) -> None:
        """What holds however it ended: nothing open, held or under way; sums are sums."""
        for vendor in self.vendors:
            for answer in vendor.transport.given:
                assert {"end", "abort"} & set(answer.did), "an answer was left open"
        assert [target.health.in_flight for target in self.targets] == [0] * len(self.targets)
        if not self.ledger.records:
            assert self.left() == self.budget
            return
        record = self.record
        costs = [each.cost.total for each in record.attempts if each.cost is not None]
        assert record.cost == sum(costs)
        assert self.left() == self.budget - sum(costs), "charged is what was recorded"
        assert len(record.attempts) == len(self.x.attempts)
        assert self.out.body.count(b"[DONE]") <= 1
        if b"event: error" in self.out.body:
            assert b"[DONE]" not in self.out.body and not self.x.finished


def _told(_health: TargetHealth, _seconds: float | None) -> None: ...


def _like(health: TargetHealth, _model: str) -> TargetHealth:
    return health


async def every_cancellation(make: Callable[[], Request], most: int = 400) -> int:
    """Cancel the request after 0, 1, 2, … turns of the loop until it is quicker than that."""
    turns = 0
    while turns < most:
        request = make()
        task = asyncio.get_running_loop().create_task(request.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled = task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        tries = [each for each in asyncio.all_tasks() if each.get_name().startswith("try ")]
        assert not tries, "a try goes on behind its request"
        request.check()
        if not cancelled:
            return turns
        turns += 1
    return turns
