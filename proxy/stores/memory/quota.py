"""A quota bound to counts in memory: all is taken, or nothing, and what was taken ends once.

`take_now` awaits nothing, so nobody sees it half done. All it touches hangs on `Bound` as direct
references. A grant notes totals as they stood, and makes `Level`s of them when asked.

A grant works on the counts it took from, even if the store forgot them since: it forgets only
what can no longer matter, to an open grant neither (`idle` of each count).
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from proxy.core.quota import (
    CONCURRENCY_RETRY,
    Demand,
    Grant,
    Level,
    QuotaUnknown,
    Rule,
    Stand,
    Standing,
)
from proxy.stores.memory.budgets import Budget
from proxy.stores.memory.levels import refusal
from proxy.stores.memory.windows import KEPT, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.stores.memory.accounts import Purse
    from proxy.stores.memory.bound import Bound, Entry, Part
    from proxy.stores.memory.store import MemoryQuotas


class MemoryQuota:
    """Rules bound to their counts."""

    __slots__ = ("_bound", "_epoch", "_refused", "_store", "rules")

    def __init__(self, store: "MemoryQuotas", rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._store = store
        self._epoch = store.epoch
        self._bound = store.counts_of(rules)
        self._refused = 0.0, 0.0  # When it refused last, on both clocks.

    def take_now(self, tokens: int, money: int, least: int) -> Grant | None:
        """All or nothing; None where that is refused, or what was spent is not known yet."""
        store = self._store
        if self._epoch != store.epoch:
            self._renew()
        bound = self._bound
        seen: list[int] = []
        fits = True
        now = at = 0.0
        if bound.rates:
            now = store.monotonic()
            for rates in bound.rates:
                if not rates.take(tokens, now):
                    fits = False
                rates.note(seen)
        for slots, limit in bound.slots:
            fits = slots.take(limit, seen) and fits
        if (budgets := bound.budgets) is not None:
            at = store.wall()
            if fits:
                money = budgets.hold(money, least, at)
                budgets.note(seen)
        if not fits or money < 0:
            _undo(bound, tokens, seen)
            self._refused = now, at
            return None
        grant = MemoryGrant(bound, tokens, money, seen, (now, at))
        if (bound.tokens and not tokens) or (budgets is not None and budgets.roll):
            grant.note()
        return grant

    async def take(self, demand: Demand) -> Grant:
        """All or nothing. Raises QuotaExceeded, QuotaUnknown."""
        with suppress(QuotaUnknown):
            return self._take(demand)
        return await self._take_soon(demand)

    async def _take_soon(self, demand: Demand) -> Grant:
        """What was spent before is being asked for: that takes a moment."""
        until = asyncio.get_running_loop().time() + self._store.patience
        while await self._store.soon_known(until):
            try:
                return self._take(demand)
            except QuotaUnknown:
                continue  # Something became known, but not yet all that this needs.
        return self._take(demand)

    def _take(self, demand: Demand) -> Grant:
        grant = self.take_now(demand.tokens, demand.money, demand.least)
        if grant is None:
            raise refusal(self._bound, demand, *self._refused)
        if type(grant) is not MemoryGrant:
            _ = grant.levels()  # Noted before others take.
        return grant

    def _renew(self) -> None:
        self._epoch = self._store.epoch
        if not self._bound.live:
            self._bound = self._store.counts_of(self.rules)


def _undo(bound: "Bound", tokens: int, seen: list[int]) -> None:
    _change(bound, seen, -1, -tokens)
    for slots, _ in bound.slots:
        slots.used -= 1


class MemoryGrant:
    """What was taken."""

    __slots__ = (
        "_bound", "_limits", "_moment", "_open", "_purses", "_resets", "_seen", "_tokens", "money",
    )  # fmt: skip

    def __init__(
        self,
        bound: "Bound",
        tokens: int,
        money: int,
        seen: list[int],
        moment: tuple[float, float],
        *,
        purses: "Sequence[Purse] | None" = None,
    ) -> None:
        """Made in the moment, on both clocks, in which all of it was taken. `purses`: where the
        money is, if it is not where the last hold of these budgets is."""
        self.money = money
        self._bound = bound
        self._tokens = tokens
        self._seen = seen
        self._moment = moment
        if purses is None:
            purses = () if bound.budgets is None else bound.budgets.purses
        self._purses = purses
        self._open = True
        self._resets: dict[int, float] | None = None
        self._limits: list[int] | None = None

    def note(self) -> None:
        """Note what `seen` does not tell: how windows stand that nothing was taken from, and the
        limits of budgets that roll over."""
        bound = self._bound
        if not self._tokens and bound.tokens:
            self._resets = {
                place: counted.until_empty(self._moment[0])
                for rule, counted, place, _ in bound.entries
                if rule.measure == "tokens" and isinstance(counted, Window)
            }
        if bound.budgets is not None and bound.budgets.roll:
            self._limits = [budget.allowance() for budget in bound.budgets.every]

    def levels(self) -> tuple[Level, ...]:
        """The rules in their order, as they stood when this was granted."""
        return tuple([self._level(entry) for entry in self._bound.entries])

    def standing(self) -> Standing:
        """The tightest of them."""
        bound, seen = self._bound, self._seen
        money = None
        for place, group, limit in bound.money:
            left = (limit if self._limits is None else self._limits[group]) - seen[place]
            if money is None or left < money:
                money = left if left > 0 else 0
        return (
            self._tightest(bound.requests, seen) if bound.requests else None,
            self._tightest(bound.tokens, seen) if bound.tokens else None,
            money,
        )

    def _tightest(self, parts: "tuple[Part, ...]", seen: list[int]) -> Stand:
        found, most = parts[0], -1.0
        if len(parts) > 1:
            for part in parts:
                taken = seen[part[0]] * part[2]
                if taken > most:
                    most, found = taken, part
        place, group, _, limit, size = found
        used = seen[place]
        if not used:
            return limit, limit, 0.0
        if self._resets is not None and place in self._resets:
            reset = self._resets[place]
        else:
            reset = (seen[group] + KEPT) * size - self._moment[0]
        return limit, limit - used if limit > used else 0, reset if reset > 0 else 0.0

    def _level(self, entry: "Entry") -> Level:
        rule, counted, place, group = entry
        used = self._seen[place]
        limit = rule.limit
        if not used:
            reset = 0.0
        elif isinstance(counted, Window):
            if self._resets is not None and place in self._resets:
                reset = self._resets[place]
            else:
                reset = counted.ticker.until_out(self._seen[group], self._moment[0])
        elif isinstance(counted, Budget):
            reset = self._purses[group].end - self._moment[1]
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
        if not self._open:
            return
        self._open = False
        bound = self._bound
        if bound.rates and tokens != self._tokens:
            _change(bound, self._seen, 0, tokens - self._tokens)
        for slots, _ in bound.slots:
            slots.used -= 1
        if self._purses and money != self.money:
            more = money - self.money
            for purse in self._purses:
                purse.used += more

    def cancel(self) -> None:
        """It came to nothing."""
        if self._open:
            bound = self._bound
            _change(bound, self._seen, -1, -self._tokens)
            self._tokens = 0
            self.settle(0, 0)


def _change(bound: "Bound", seen: list[int], requests: int, tokens: int) -> None:
    """So many more, or fewer, than were taken from all rates."""
    place = 0
    for rates in bound.rates:
        rates.change(seen[place], requests, tokens)
        place += rates.noted
