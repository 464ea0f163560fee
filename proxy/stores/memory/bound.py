"""The rules of a quota and the counts that they are about, in groups of one measure.

A grant notes what it saw as plain integers, group by group: of rates the bucket and all totals,
then the slots, then the budgets. `entries` has the rules in their own order, and where to look.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.quota import Rule
from proxy.stores.memory.accounts import Account
from proxy.stores.memory.budgets import Budget, Budgets
from proxy.stores.memory.rates import Rates
from proxy.stores.memory.windows import Slots, Window

State = Window | Slots | Account
Counted = Window | Slots | Budget


class Entry(NamedTuple):
    """One rule: what it counts, where its total is noted, and where its bucket is; of a budget,
    which one of the budgets it is."""

    rule: Rule
    counted: Counted
    place: int
    group: int


@dataclass(frozen=True, slots=True)
class Bound:
    """All that a quota needs."""

    entries: tuple[Entry, ...]
    rates: tuple[Rates, ...]
    slots: tuple[tuple[Slots, float], ...]
    budgets: Budgets | None
    states: tuple[State, ...]
    requests: tuple[Entry, ...]
    tokens: tuple[Entry, ...]
    money: tuple[Entry, ...]  # Of hard budgets.

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
        requests=_of(entries, "requests"),
        tokens=_of(entries, "tokens"),
        money=tuple(entry for entry in _of(entries, "money") if entry.rule.hard),
    )


def _of(entries: tuple[Entry, ...], measure: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if entry.rule.measure == measure)


def _rates(pairs: list[tuple[Rule, Counted]]) -> tuple[Rates, ...]:
    windows = [(rule, counted) for rule, counted in pairs if isinstance(counted, Window)]

    def of(ticker: object, measure: str) -> tuple[tuple[Window, float], ...]:
        return tuple(
            (window, _limit(rule))
            for rule, window in windows
            if window.ticker is ticker and rule.measure == measure
        )

    tickers = dict.fromkeys(window.ticker for _, window in windows)
    return tuple(Rates(each, of(each, "requests"), of(each, "tokens")) for each in tickers)


def _limit(rule: Rule) -> float:
    """What is not hard has no limit."""
    return rule.limit if rule.hard else float("inf")
