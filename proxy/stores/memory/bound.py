"""The rules of a quota and the counts that they are about, in groups of one measure.

A grant notes what it saw as plain integers, group by group: of rates the bucket and all totals,
then the slots, then the budgets. `entries` has the rules in their own order, and where to look.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar, cast

from proxy.core.quota import Rule
from proxy.stores.memory.accounts import Account
from proxy.stores.memory.budgets import Budget, Budgets
from proxy.stores.memory.rates import Rates
from proxy.stores.memory.windows import Limited, Slots, Window

State = Window | Slots | Account
Counted = Window | Slots | Budget


class Entry(NamedTuple):
    """One rule: what it counts, where its total is noted, and where its bucket is; of a budget,
    which one of the budgets it is."""

    rule: Rule
    counted: Counted
    place: int
    group: int


Part = tuple[int, int, float, int, float]
"""A limit in plain numbers, the same for all quotas that are alike: where its total and its bucket
are noted, by what to multiply the total for the part that is used, the limit itself, and how long a
bucket is, in seconds. A plain tuple, whose members are read quicker than those of a named one."""

Numbers = TypeVar("Numbers", tuple[Part, ...], tuple[tuple[int, int, int], ...])


@dataclass(frozen=True, slots=True)
class Bound:
    """All that a quota needs."""

    entries: tuple[Entry, ...]
    rates: tuple[Rates, ...]
    slots: tuple[tuple[Slots, int | None], ...]
    budgets: Budgets | None
    states: tuple[State, ...]
    requests: tuple[Part, ...]
    tokens: tuple[Part, ...]
    money: tuple[tuple[int, int, int], ...]  # Of hard budgets: place, group, limit.

    @property
    def live(self) -> bool:
        """Whether the store still knows all of its counts."""
        return all(state.live for state in self.states)


def bound(pairs: list[tuple[Rule, Counted]], wall: Callable[[], float]) -> Bound:
    """Group rules and their counts."""
    rates = _rates(pairs)
    slots = tuple((counted, _limit(rule)) for rule, counted in pairs if isinstance(counted, Slots))
    budgets = tuple(counted for _, counted in pairs if isinstance(counted, Budget))
    found: dict[Counted, tuple[int, int]] = {}
    place = 0
    for each in rates:
        for after, window in enumerate(each.windows(), 1):
            found[window] = (place + after, place)
        place += each.noted
    for after, (one, _) in enumerate(slots):
        found[one] = (place + after, 0)
    place += len(slots)
    for after, budget in enumerate(budgets):
        found[budget] = (place + after, after)
    entries = tuple(Entry(rule, counted, *found[counted]) for rule, counted in pairs)
    return Bound(
        entries=entries,
        rates=rates,
        slots=slots,
        budgets=Budgets(budgets, wall) if budgets else None,
        states=tuple(
            counted.account if isinstance(counted, Budget) else counted for _, counted in pairs
        ),
        requests=_once(_parts(entries, "requests")),
        tokens=_once(_parts(entries, "tokens")),
        money=_once(_money(entries)),
    )


def _once(numbers: Numbers) -> Numbers:
    """The same object for the same numbers: thousands of quotas share it, and it stays in the
    processor's cache."""
    return cast("Numbers", _one(numbers))


@lru_cache(maxsize=4096)
def _one(numbers: object) -> object:
    return numbers


def _parts(entries: tuple[Entry, ...], measure: str) -> tuple[Part, ...]:
    """Of a limit of 0 nothing is left at any time: no other is tighter."""
    found = []
    for rule, counted, place, group in entries:
        if rule.measure == measure and isinstance(counted, Window):
            part = place, group, 1 / (rule.limit or 1), rule.limit, counted.ticker.size
            if not rule.limit:
                return (part,)
            found.append(part)
    return tuple(found)


def _money(entries: tuple[Entry, ...]) -> tuple[tuple[int, int, int], ...]:
    return tuple(
        (place, group, rule.limit)
        for rule, counted, place, group in entries
        if isinstance(counted, Budget) and rule.hard
    )


def _rates(pairs: list[tuple[Rule, Counted]]) -> tuple[Rates, ...]:
    windows = [(rule, counted) for rule, counted in pairs if isinstance(counted, Window)]

    def of(ticker: object, measure: str) -> list[tuple[Limited, int | None]]:
        return [
            (window.limited(rule.limit), _limit(rule))
            for rule, window in windows
            if window.ticker is ticker and rule.measure == measure
        ]

    tickers = dict.fromkeys(window.ticker for _, window in windows)
    return tuple(Rates(each, of(each, "requests"), of(each, "tokens")) for each in tickers)


def _limit(rule: Rule) -> int | None:
    """What is not hard has none. Never an infinite one: a number that is compared with a float may
    be made one, and exact no more (docs/adr/0021)."""
    return rule.limit if rule.hard else None
