"""The two quotas that nearly every request meets: rates of one window length, and plain budgets.

The first is taken at admission, the second at an attempt. Each is what `MemoryQuota` does, without
what cannot occur: chosen once, when the rules are bound. How the tightest limits stand is known
from the take itself; how all of them do is found out when somebody asks, and at once for `take`.
"""

from typing import TYPE_CHECKING

from proxy.core.quota import Calendar, Grant, Level, Rule, Sliding, Standing
from proxy.stores.memory.quota import MemoryGrant, MemoryQuota
from proxy.stores.memory.windows import KEPT

if TYPE_CHECKING:
    from proxy.stores.memory.accounts import Purse
    from proxy.stores.memory.bound import Bound
    from proxy.stores.memory.budgets import Budgets
    from proxy.stores.memory.rates import Rates, Told
    from proxy.stores.memory.store import MemoryQuotas


def quota_of(store: "MemoryQuotas", rules: tuple[Rule, ...]) -> MemoryQuota:
    """The quickest quota that can count these rules."""
    windows = {rule.window for rule in rules}
    if len(windows) == 1 and all(isinstance(window, Sliding) for window in windows):
        return RatesQuota(store, rules)
    if rules and all(isinstance(each, Calendar) and not each.rollover for each in windows):
        return BudgetsQuota(store, rules)
    return MemoryQuota(store, rules)


class RatesQuota(MemoryQuota):
    """Requests and tokens in the last so many seconds."""

    __slots__ = ()

    def take_now(self, tokens: int, money: int, least: int) -> Grant | None:
        """See MemoryQuota."""
        store = self._store
        if self._epoch != store.epoch:
            self._renew()
        bound = self._bound
        if not tokens and bound.tokens:  # How those stand that nothing is taken from is found out.
            return MemoryQuota.take_now(self, tokens, money, least)
        now = store.monotonic()
        rates = bound.rates[0]
        if rates.take(tokens, now):
            return RatesGrant(money, tokens, now, rates, bound)
        rates.change(rates.bucket, -1, -tokens)
        self._refused = now, 0.0
        return None


class RatesGrant:
    """What was taken of them."""

    __slots__ = ("bound", "bucket", "money", "noted", "now", "open", "rates", "tokens", "told")

    def __init__(self, money: int, tokens: int, now: float, rates: "Rates", bound: "Bound") -> None:
        """Right after it was taken."""
        self.money = money
        self.tokens = tokens
        self.told: Told = rates.told
        self.bucket = rates.bucket
        self.now = now
        self.rates = rates
        self.bound = bound
        self.open = True
        self.noted: tuple[Level, ...] | None = None

    def levels(self) -> tuple[Level, ...]:
        """The rules in their order, as they stood when this was first asked."""
        if self.noted is None:
            seen: list[int] = []
            self.rates.note(seen)
            seen[0] = self.bucket
            moment = self.now, 0.0
            self.noted = MemoryGrant(self.bound, self.tokens, 0, seen, moment).levels()
        return self.noted

    def standing(self) -> Standing:
        """The tightest of them."""
        of, used, of_tokens, used_tokens = self.told
        reset = (self.bucket + KEPT) * self.rates.ticker.size - self.now
        return (
            None if of < 0 else (of, of - used if of > used else 0, reset),
            None
            if of_tokens < 0
            else (of_tokens, of_tokens - used_tokens if of_tokens > used_tokens else 0, reset),
            None,
        )

    async def grow(self, money: int) -> int:
        """No budget is among them."""
        if not self.open or money <= 0:
            return 0
        self.money += money
        return money

    def settle(self, tokens: int, money: int) -> None:
        """This was used in truth."""
        if self.open:
            self.open = False
            if tokens != self.tokens:
                self.rates.change(self.bucket, 0, tokens - self.tokens)

    def cancel(self) -> None:
        """It came to nothing."""
        if self.open:
            self.open = False
            self.rates.change(self.bucket, -1, -self.tokens)


class BudgetsQuota(MemoryQuota):
    """Money per window of the calendar, of which nothing rolls over."""

    __slots__ = ()

    def take_now(self, tokens: int, money: int, least: int) -> Grant | None:
        """See MemoryQuota."""
        store = self._store
        if self._epoch != store.epoch:
            self._renew()
        bound = self._bound
        budgets = bound.budgets
        assert budgets is not None  # It has no other rules.
        at = store.wall()
        money = budgets.hold(money, least, at)
        if money >= 0:
            return BudgetsGrant(money, at, budgets, bound)
        self._refused = 0.0, at
        return None


class BudgetsGrant:
    """What was held in them."""

    __slots__ = ("at", "bound", "budgets", "left", "money", "noted", "open", "purses")

    def __init__(self, money: int, at: float, budgets: "Budgets", bound: "Bound") -> None:
        """Right after it was held."""
        self.money = money
        self.left: int | None = budgets.left
        self.at = at
        self.purses: list[Purse] = budgets.purses
        self.budgets = budgets
        self.bound = bound
        self.open = True
        self.noted: tuple[Level, ...] | None = None

    def levels(self) -> tuple[Level, ...]:
        """The rules in their order, as they stood when this was first asked."""
        if self.noted is None:
            seen = [purse.used for purse in self.purses]
            moment = 0.0, self.at
            self.noted = MemoryGrant(self.bound, 0, 0, seen, moment, purses=self.purses).levels()
        return self.noted

    def standing(self) -> Standing:
        """The least that hard ones have left."""
        left = self.left
        return None, None, 0 if left is not None and left < 0 else left

    async def grow(self, money: int) -> int:
        """Hold up to so much more, in the windows of the hold."""
        if not self.open or money <= 0:
            return 0
        more = self.budgets.grow(money, self.purses)
        self.money += more
        return more

    def settle(self, tokens: int, money: int) -> None:
        """This was used in truth."""
        if self.open:
            self.open = False
            more = money - self.money
            for purse in self.purses:
                purse.used += more

    def cancel(self) -> None:
        """It came to nothing."""
        self.settle(0, 0)
