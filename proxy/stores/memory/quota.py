"""A quota bound to counts in memory: all is taken, or nothing, and what was taken ends once.

`_take` awaits nothing, so nobody sees it half done. All it touches hangs on `Bound` as direct
references. A grant notes totals as they stood, and makes `Level`s of them when asked.

A grant works on the counts it took from, even if the store forgot them since: it forgets only
what can no longer matter, to an open grant neither (`idle` of each count).
"""

import asyncio
from typing import TYPE_CHECKING

from proxy.core.quota import CONCURRENCY_RETRY, Demand, Level, QuotaUnknown, Rule, Standing
from proxy.stores.memory.budgets import Budget
from proxy.stores.memory.levels import refusal
from proxy.stores.memory.openings import PATIENCE
from proxy.stores.memory.windows import Window

if TYPE_CHECKING:
    from proxy.stores.memory.accounts import Purse
    from proxy.stores.memory.bound import Bound, Entry
    from proxy.stores.memory.store import MemoryQuotas


class MemoryQuota:
    """Rules bound to their counts."""

    __slots__ = ("_bound", "_epoch", "_store", "rules")

    def __init__(self, store: "MemoryQuotas", rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._store = store
        self._epoch = store.epoch
        self._bound = store.counts_of(rules)

    async def take(self, demand: Demand) -> "MemoryGrant":
        """All or nothing. Raises QuotaExceeded, QuotaUnknown."""
        try:
            return self._take(demand)
        except QuotaUnknown:
            return await self._take_soon(demand)

    async def _take_soon(self, demand: Demand) -> "MemoryGrant":
        """What was spent before is being asked for: that takes a moment."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while await self._store.soon_known(until):
            try:
                return self._take(demand)
            except QuotaUnknown:
                continue  # Something became known, but not yet all that this needs.
        return self._take(demand)

    def _take(self, demand: Demand) -> "MemoryGrant":
        store = self._store
        if self._epoch != store.epoch:
            self._renew()
        bound = self._bound
        _, tokens, money, least = demand
        seen: list[int] = []
        purses: list[Purse] = []
        fits = True
        now = at = 0.0
        budgets = bound.budgets
        if budgets is not None:
            at = store.wall()
            money = budgets.afford(money, least, at)
        if bound.rates:
            now = store.monotonic()
            for rates in bound.rates:
                if not rates.take(tokens, now, seen):
                    fits = False
        for slots, limit in bound.slots:
            fits = slots.take(limit, seen) and fits
        if not fits or money < 0:
            _undo(bound, tokens, seen)
            raise refusal(bound, demand, now, at)
        if budgets is not None:
            purses = budgets.hold(money, at, seen)
        grant = MemoryGrant(bound, tokens, money, seen, purses, now=now, at=at)
        if not tokens or (budgets is not None and budgets.roll):
            grant.note()
        return grant

    def _renew(self) -> None:
        self._epoch = self._store.epoch
        if not self._bound.live:
            self._bound = self._store.counts_of(self.rules)


def _undo(bound: "Bound", tokens: int, seen: list[int]) -> None:
    place = 0
    for rates in bound.rates:
        rates.change(seen[place], -1, -tokens)
        place += rates.noted
    for slots, _ in bound.slots:
        slots.used -= 1


class MemoryGrant:
    """What was taken."""

    __slots__ = (
        "_at", "_bound", "_limits", "_now", "_open", "_purses", "_resets", "_seen", "_tokens",
        "money",
    )  # fmt: skip

    def __init__(
        self,
        bound: "Bound",
        tokens: int,
        money: int,
        seen: list[int],
        purses: "list[Purse]",
        *,
        now: float,
        at: float,
    ) -> None:
        self.money = money
        self._bound = bound
        self._tokens = tokens
        self._seen = seen
        self._purses = purses
        self._now = now
        self._at = at
        self._open = True
        self._resets: dict[object, float] | None = None
        self._limits: list[int] | None = None

    def note(self) -> None:
        """Note what `seen` does not tell: how windows stand that nothing was taken from, and the
        limits of budgets that roll over."""
        bound = self._bound
        if not self._tokens and bound.rates:
            windows = (window for rates in bound.rates for window, _ in rates.tokens)
            self._resets = {window: window.until_empty(self._now) for window in windows}
        if bound.budgets is not None and bound.budgets.roll:
            self._limits = [budget.allowance() for budget in bound.budgets.every]

    def levels(self) -> tuple[Level, ...]:
        """The rules in their order, as they stood when this was granted."""
        return tuple([self._level(entry) for entry in self._bound.entries])

    def standing(self) -> Standing:
        """The tightest of them."""
        bound = self._bound
        money = None
        for entry in bound.money:
            left = self._limit(entry) - self._seen[entry.place]
            if money is None or left < money:
                money = left
        return Standing(
            self._tightest(bound.requests),
            self._tightest(bound.tokens),
            money if money is None or money > 0 else 0,
        )

    def _tightest(self, entries: "tuple[Entry, ...]") -> Level | None:
        if len(entries) == 1:
            return self._level(entries[0])
        seen, most, found = self._seen, -1.0, None
        for entry in entries:
            limit = entry[0].limit
            part = seen[entry[2]] / limit if limit else 2.0
            if part > most:
                most, found = part, entry
        return self._level(found) if found is not None else None

    def _limit(self, entry: "Entry") -> int:
        return entry.rule.limit if self._limits is None else self._limits[entry.group]

    def _level(self, entry: "Entry") -> Level:
        rule, counted, place, group = entry
        used = self._seen[place]
        limit = rule.limit
        if not used:
            reset = 0.0
        elif isinstance(counted, Window):
            if self._resets is not None and counted in self._resets:
                reset = self._resets[counted]
            else:
                reset = counted.ticker.until_out(self._seen[group], self._now)
        elif isinstance(counted, Budget):
            reset = self._purses[group].end - self._at
        else:
            reset = CONCURRENCY_RETRY
        if self._limits is not None and isinstance(counted, Budget):
            limit = self._limits[group]
        return Level(rule, limit - used if limit > used else 0, reset)

    async def grow(self, money: int) -> int:
        """Hold up to so much more, in the windows of the hold."""
        if not self._open or money <= 0:
            return 0
        if self._bound.budgets is not None:
            money = self._bound.budgets.grow(money, self._purses)
        self.money += money
        return money

    def settle(self, tokens: int, money: int) -> None:
        """This was used in truth."""
        if self._open:
            self._end(0, tokens, money)

    def cancel(self) -> None:
        """It came to nothing."""
        if self._open:
            self._end(-1, 0, 0)

    def _end(self, requests: int, tokens: int, money: int) -> None:
        self._open = False
        bound = self._bound
        if requests or tokens != self._tokens:
            tokens -= self._tokens
            place = 0
            for rates in bound.rates:
                rates.change(self._seen[place], requests, tokens)
                place += rates.noted
        for slots, _ in bound.slots:
            slots.used -= 1
        if money != self.money:
            money -= self.money
            for purse in self._purses:
                purse.used += money
