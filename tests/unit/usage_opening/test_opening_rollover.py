"""A store in memory that is told of earlier windows lets their rests roll over."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from proxy.core.quota import (
    Calendar,
    Demand,
    Quota,
    QuotaExceeded,
    QuotaUnknown,
    Rule,
    Scope,
    Spent,
    Wanted,
)
from proxy.stores.memory.openings import Openings
from proxy.stores.memory.store import MemoryQuotas

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp()
DAY = 86400.0


class Told:
    """Balances that are what they are."""

    def __init__(self, spent: Spent) -> None:
        self._spent = spent

    async def spent(self, wanted: tuple[Wanted, ...]) -> Sequence[Spent]:
        return [self._spent] * len(wanted)


class Moved:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> float:
        return self.at


def rule(rollover: float = 1.0, expires: int = 3, *, hard: bool = True) -> Rule:
    calendar = Calendar("day", "UTC", rollover, expires)
    return Rule(Scope("team", "red"), "budget per day", "money", 100, calendar, hard)


async def known(store: MemoryQuotas) -> None:
    """Let it fetch what it wants."""
    openings = store._openings
    assert isinstance(openings, Openings)
    await openings.fetch()


@pytest.mark.parametrize(
    ("spent", "of", "gives"),
    [
        (Spent(10), rule(), 90),
        (Spent(10, (40,)), rule(), 90 + 60),
        (Spent(10, (40, 0, 100)), rule(), 90 + 60 + 100),
        (Spent(10, (130, 50)), rule(), 90 + 20),  # 30 came from the window before it.
        (Spent(10, (40,)), rule(0.5), 90 + 30),
        (Spent(0, (0, 0, 1)), rule(expires=3), 100 + 100 + 100 + 99),
    ],
)
async def test_what_was_left_before_rolls_over(spent: Spent, of: Rule, gives: int) -> None:
    store = MemoryQuotas(Told(spent), wall=Moved(), patience=0)
    quota = store.bind((of,))
    with pytest.raises(QuotaUnknown):
        await quota.take(Demand("id", money=1))
    await known(store)
    assert await _all(quota) == gives


async def _all(quota: Quota) -> int:
    """All that can be held at once."""
    held = 0
    while True:
        try:
            held += (await quota.take(Demand("id", money=1 << 20, least=1))).money
        except QuotaExceeded:
            return held


async def test_it_goes_on_rolling_in_the_windows_after() -> None:
    clock = Moved()
    store = MemoryQuotas(Told(Spent(70, (90, 100))), wall=clock, patience=0)
    quota = store.bind((rule(expires=2),))
    with pytest.raises(QuotaUnknown):
        await quota.take(Demand("id", money=1))
    await known(store)
    clock.at += DAY
    assert await _all(quota) == 100 + 30 + 10


async def test_an_opening_that_nobody_asked_about_in_its_window_is_not_forgotten() -> None:
    clock = Moved()
    store = MemoryQuotas(Told(Spent(70)), wall=clock)
    quota = store.bind((rule(),))
    await known(store)
    clock.at += DAY
    assert await _all(quota) == 100 + 30


async def test_who_never_spent_anything_has_nothing_to_roll_over() -> None:
    clock = Moved()
    store = MemoryQuotas(Told(Spent(0)), wall=clock)
    quota = store.bind((rule(),))
    await known(store)
    assert await _all(quota) == 100
