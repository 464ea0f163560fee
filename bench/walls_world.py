"""The world of the walls run, drawn from a seed: prices, callers, and who has which budgets.

Every target has a price of its own, every scope that the run looks at a hard budget or two, per day
or for all time. What each budget is worth is a share of what its scope would spend if nothing were
refused, so that about half of the calls are. Money is integer: rates in nano-USD per million
tokens, amounts in nano-USD. A day never ends during a run: its zone is one in which it is morning.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from proxy.base.clock import wall
from proxy.core.quota import Scope, ScopeKind
from proxy.stores.redis.packing import tag

PROVIDERS = ("north", "east", "south", "west")
GONE = "gone"
"""A provider that nobody can reach: calls that meet it first fall back to another."""

MODELS = 8
CACHED, REASONING = 2, 3
"""Cached input costs a half of input, reasoning three halves of output."""

_MTOK = 1_000_000
_LEAST = 3_000_000
"""Nano-USD: more than any single hold with a cap."""
_SHARES: Mapping[ScopeKind, tuple[float, float]] = {
    "key": (0.25, 1.0),
    "team": (0.4, 1.0),
    "project": (0.4, 1.0),
    "customer": (0.4, 1.1),
    "model": (0.45, 0.95),
    "provider": (0.5, 1.0),
    "global": (0.5, 0.5),
}
KINDS = tuple(_SHARES)


class Rates(NamedTuple):
    """Nano-USD per million tokens. Both are even, so that halves are whole."""

    input: int
    output: int

    def cost(self, used: "Tokens") -> int:
        """In nano-USD, the fraction rounded up."""
        exact = (used.input - used.cached) * self.input + used.cached * self.input // CACHED
        exact += (used.output - used.reasoning) * self.output
        exact += used.reasoning * (self.output * REASONING // 2)
        return -(-exact // _MTOK)


class Tokens(NamedTuple):
    """What one answer used; `cached` is part of input, `reasoning` of output."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0


class Budget(NamedTuple):
    """One wall."""

    scope: Scope
    period: str
    amount: int

    @property
    def key(self) -> str:
        """What Redis knows it by."""
        return f"llm-proxy:{{{tag(self.scope)}}}:budget per {self.period}"


@dataclass(frozen=True, slots=True)
class Caller:
    """A key and whose it is."""

    name: str
    team: str
    project: str

    @property
    def key(self) -> str:
        return f"sk-walls-{self.name}"


@dataclass(frozen=True, slots=True)
class World:
    """Who and what there is, before anything is walled."""

    callers: tuple[Caller, ...]
    customers: tuple[str, ...]
    models: Mapping[str, tuple[str, ...]]  # The providers of each, GONE among them now and then.
    rates: Mapping[str, Rates]  # By the name that the vendor knows.
    zone: str

    def scopes(self, caller: Caller, customer: str, model: str) -> tuple[Scope, ...]:
        """All that a call belongs to, but for the provider."""
        return (
            Scope("key", caller.name),
            Scope("team", caller.team),
            Scope("project", caller.project),
            Scope("customer", customer),
            Scope("model", model),
            Scope("global", ""),
        )


def upstream(model: str, provider: str) -> str:
    """The vendor's name of a model."""
    return f"{model}-{provider}"


def make(calls: int, seed: int) -> World:
    """A world for so many calls."""
    draw = random.Random(f"world {seed}")
    keys = max(8, min(200, calls // 150))
    teams = max(3, keys // 8)
    callers = tuple(
        Caller(f"k{number:03d}", f"t{draw.randrange(teams):02d}", f"p{draw.randrange(teams):02d}")
        for number in range(keys)
    )
    models: dict[str, tuple[str, ...]] = {}
    rates: dict[str, Rates] = {}
    for number in range(MODELS):
        model = f"walled-{number}"
        providers = draw.sample(PROVIDERS, draw.randint(1, 3))
        if number % 3 == 0:
            providers.append(GONE)
        models[model] = tuple(providers)
        for provider in providers:
            rates[upstream(model, provider)] = Rates(
                2 * draw.randint(25_000_000, 900_000_000), 2 * draw.randint(100_000_000, 3 * 10**9)
            )
    customers = tuple(f"c{number:02d}" for number in range(max(4, keys // 5)))
    return World(callers, customers, models, rates, _zone_of_morning())


def budgets(world: World, demand: Mapping[Scope, int], seed: int) -> tuple[Budget, ...]:
    """The walls. `demand`: what each scope would spend if nothing were refused."""
    draw = random.Random(f"budgets {seed}")
    found = []
    for scope in sorted(demand):
        low, high = _SHARES[scope.kind]
        amount = max(_LEAST, int(demand[scope] * draw.uniform(low, high)))
        both = draw.random() < 0.2
        day = draw.random() < 0.5
        if both or day:
            found.append(Budget(scope, "day", amount))
        if both or not day:
            found.append(Budget(scope, "total", amount + (amount // 7 if both else 0)))
    return tuple(found)


def add_up(costs: Iterable[tuple[tuple[Scope, ...], int]]) -> Counter[Scope]:
    """What each scope spends by these costs."""
    sums: Counter[Scope] = Counter()
    for scopes, cost in costs:
        for scope in scopes:
            sums[scope] += cost
    return sums


def _zone_of_morning() -> str:
    """One in which it is between one and two o'clock. The names count westwards."""
    hours = datetime.fromtimestamp(wall(), UTC).hour - 1
    hours = hours - 24 if hours > 12 else hours
    return f"Etc/GMT{hours:+d}" if hours else "Etc/GMT"
