"""Where limits and budgets meet the stores that count: rules, what a request asks for, grants.

A `Rule` is one wall of one scope: so many requests, tokens, slots or nano-USD per window. A request
asks a `Quota` (the rules that apply to it, bound to a store once) for all it may need; the store
checks every rule and then takes from all of them, or from none. What was taken is a `Grant`, held
until it is settled to the truth: synchronously, exactly once, whatever happened.

- requests, tokens per `Sliding` window: in no window of that length, wherever it begins, is more
  taken than the limit (ADR 0009). Settling moves what was taken in its own moment.
- concurrency: a lease. It ends with the grant; that of a dead worker ends by itself.
- money per `Calendar` window: spent + held never passes the limit. The window is that of the moment
  of the hold. The hold of a dead worker is charged in full, and corrected when the record comes.

Implemented by `stores/memory` (one worker) and `stores/redis`; one contract suite runs on both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from proxy.base.periods import Period

Measure = Literal["requests", "tokens", "concurrency", "money"]

ScopeKind = Literal[
    "key", "user", "team", "project", "customer", "agent", "session", "tag", "model", "provider",
    "global", "key_model", "switch",
]  # fmt: skip


CONCURRENCY_RETRY = 1.0
"""Seconds after which to ask again for a slot: nobody knows when one will be free."""


SHARE = 4
"""Of what a hard budget has left, one demand that can do with less gets this part at most."""


class Scope(NamedTuple):
    """Whose limit it is. `name` is empty for `global`, `<key>/<model>` for `key_model`."""

    kind: ScopeKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} `{self.name}`" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Sliding:
    """The last so many seconds, at any moment."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """A day, a week (from Monday) or a month of a time zone, or all time. Of what a window leaves
    unspent, `rollover` (0 to 1) is added to the next `expires` windows, spent oldest first. Windows
    before the one in which the rule was first asked leave nothing; of an ended window whose rest
    went on, a hold cannot grow."""

    period: Period
    zone: str = "UTC"
    rollover: float = 0.0
    expires: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """One wall. `limit`: requests, tokens, slots or nano-USD. `name`: the setting, for messages.
    What is not `hard` is counted and refuses nobody."""

    scope: Scope
    name: str
    measure: Measure
    limit: int
    window: Sliding | Calendar | None  # None for concurrency.
    hard: bool = True

    @property
    def key(self) -> str:
        """What the store knows its count by: a rule whose limit changes keeps its count."""
        return f"{self.scope.kind}:{self.scope.name}:{self.name}"


class Demand(NamedTuple):
    """What a request, or an attempt, may need at most. Of money anything from `least` to `money`
    will do: the store gives as much as every hard budget allows, and where less would do no more
    than a quarter (`SHARE`) of what is left, or `least`, so that one demand does not shut out the
    others. Of what is not asked (0) nobody is refused, however much was used."""

    id: str  # Unique for ever: of the request, or of the request and the attempt.
    tokens: int = 0
    money: int = 0
    least: int = 0


class Level(NamedTuple):
    """How a rule stands after a decision."""

    rule: Rule
    remaining: int  # Of the limit (rollover included); never below 0.
    reset: float  # Seconds until all taken counts no more; 0 when nothing is, inf when ever.


Stand = tuple[int, int, float]
"""A limit, what remains of it, and seconds until all taken counts no more."""

Standing = tuple[Stand | None, Stand | None, int | None]
"""What callers are told of a grant, in plain numbers: of requests and of tokens the rule with the
smallest part left, of hard budgets the least that is left, in nano-USD."""


def standing_of(levels: Iterable[Level]) -> Standing:
    """The same from all levels."""
    tightest: dict[str, Level] = {}
    money = None
    for level in levels:
        measure = level.rule.measure
        if measure == "money":
            if level.rule.hard:
                money = level.remaining if money is None else min(money, level.remaining)
            continue
        known = tightest.get(measure)
        if known is None or _part_left(level) < _part_left(known):
            tightest[measure] = level
    return _stand(tightest.get("requests")), _stand(tightest.get("tokens")), money


def _stand(level: Level | None) -> Stand | None:
    return None if level is None else (level.rule.limit, level.remaining, level.reset)


def _part_left(level: Level) -> float:
    return level.remaining / level.rule.limit if level.rule.limit else 0.0


class Denial(NamedTuple):
    """Which rule said no: of several the one that opens last."""

    level: Level
    retry_after: float | None  # Seconds until this demand would be granted; None: never.


class QuotaExceeded(Exception):
    """A rule says no. Nothing was taken."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(f"{denial.level.rule.key} is used up")
        self.denial = denial


class QuotaUnknown(Exception):
    """The store cannot be asked, or does not know yet. Nothing was taken, or what was ends by
    itself."""


class Grant(Protocol):
    """What one demand was given. Exactly one of `settle` and `cancel` ends it; a second call, of
    either, does nothing. Both are synchronous and never raise."""

    money: int  # Nano-USD held.

    def levels(self) -> tuple[Level, ...]:
        """The rules in their order, as they stood when this was granted."""

    def standing(self) -> Standing:
        """The tightest of them: quicker than all."""

    async def grow(self, money: int) -> int:
        """Hold up to so much more. Returns what was added: 0 when nothing is left, or the store
        is away."""

    def settle(self, tokens: int, money: int) -> None:
        """This was used in truth. More than was held is counted too."""

    def cancel(self) -> None:
        """It came to nothing: give everything back, the request too."""


class Quota(Protocol):
    """Rules bound to a store. Kept and shared: binding costs, asking should not."""

    rules: tuple[Rule, ...]

    async def take(self, demand: Demand) -> Grant:
        """All or nothing. Raises QuotaExceeded, QuotaUnknown."""


@runtime_checkable
class QuickQuota(Quota, Protocol):
    """One that can decide at once, with nobody to ask."""

    def take_now(self, tokens: int, money: int, least: int) -> Grant | None:
        """As `take`, but the levels of what it gives are those of the moment when they are first
        asked for. None: nothing was taken, and `take` says why, or waits for what is not known yet.
        Never raises."""


@runtime_checkable
class JoinedQuota(Quota, Protocol):
    """One whose store is elsewhere: asking it for two demands costs little more than for one."""

    async def take_both(
        self, demand: Demand, other: Quota, other_demand: Demand
    ) -> tuple[Grant, Grant] | None:
        """All of both, or nothing. None: nothing was taken, and each is to be asked for alone.
        Raises QuotaUnknown."""


class QuotaStore(Protocol):
    """Counts."""

    def bind(self, rules: tuple[Rule, ...]) -> Quota:
        """The rules as one quota. Raises ValueError where two have the same key."""

    def correct(self, id: str, money: int) -> None:
        """A record came for a hold that had been charged in full because its worker died: charge
        what it says. Unknown and settled ids are left alone."""

    def failing(self) -> str | None:
        """Why the store cannot be used now, or None."""

    async def run(self) -> None:
        """Renew leases, send what waits. Cancel it, then `close`."""

    async def close(self) -> None:
        """Send what waits, as long as that is quick, and let go."""


class Wanted(NamedTuple):
    """A money rule whose opening balance is asked for. What this process records from `since` on
    (seconds since the epoch) is counted already; None: nothing of what it recorded is."""

    rule: Rule
    since: float | None


class Spent(NamedTuple):
    """Nano-USD in the present window of a rule and, where its rest rolls over, in the windows
    before it, the last first, back to the first in which anything was spent."""

    present: int
    earlier: tuple[int, ...] = ()


class OpenHolds(Protocol):
    """What a store that workers share knows of holds that nobody has settled."""

    async def unsettled(self, seconds: float) -> tuple[str, ...]:
        """Ids of holds of money that are older than that, as far as the store knows their age, and
        neither settled nor corrected: of dead workers, and of long requests. Raises QuotaUnknown.
        """

    def correct(self, id: str, money: int) -> None:
        """See QuotaStore."""


class Balances(Protocol):
    """What was spent before somebody began to count."""

    async def spent(self, wanted: tuple[Wanted, ...]) -> Sequence[Spent]:
        """In the same order. Raises QuotaUnknown."""


@dataclass(frozen=True, slots=True)
class Walls:
    """What stands around a scope. Rates are taken at admission, budgets at every attempt."""

    rates: tuple[Rule, ...] = ()
    budgets: tuple[Rule, ...] = ()
    tokens_per_request: int | None = None

    def __bool__(self) -> bool:
        return bool(self.rates or self.budgets or self.tokens_per_request is not None)


NO_WALLS = Walls()
