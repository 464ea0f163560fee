"""The two quotas that nearly every request meets: rates of one window length, and plain budgets.

The first is taken at admission, the second at an attempt. Each is what `MemoryQuota` does, without
what cannot occur: chosen once, when the rules are bound. How the tightest limits stand is known
from the take itself.
"""

from typing import TYPE_CHECKING

from proxy.core.quota import Calendar, Rule, Sliding, Standing
from proxy.stores.memory.quota import MemoryGrant, MemoryQuota, undo
from proxy.stores.memory.windows import KEPT

if TYPE_CHECKING:
    from proxy.stores.memory.rates import Told
    from proxy.stores.memory.store import MemoryQuotas

_new = object.__new__


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

    def take_now(self, tokens: int, money: int, least: int) -> MemoryGrant | None:
        """See MemoryQuota."""
        store = self._store
        if self._epoch != store.epoch:
            self._renew()
        bound = self._bound
        if not tokens and bound.tokens:  # How those stand that nothing is taken from is found out.
            return MemoryQuota.take_now(self, tokens, money, least)
        now = store.monotonic()
        seen: list[int] = []
        rates = bound.rates[0]
        if not rates.take(tokens, now, seen):
            undo(bound, tokens, seen)
            self._refused = now, 0.0
            return None
        grant = _new(RatesGrant)  # As by calling it, in a third of the time.
        grant.money = money
        grant.told = rates.told
        grant._bound = bound
        grant._tokens = tokens
        grant._seen = seen
        grant._moment = now, 0.0
        grant._open = True
        return grant


class RatesGrant(MemoryGrant):
    """What was taken of them."""

    __slots__ = ("told",)

    told: "Told"
    _purses = ()
    _resets = None
    _limits = None

    def standing(self) -> Standing:
        """The tightest of them."""
        of, used, of_tokens, used_tokens = self.told
        reset = (self._seen[0] + KEPT) * self._bound.rates[0].ticker.size - self._moment[0]
        return (
            None if of < 0 else (of, of - used if of > used else 0, reset),
            None
            if of_tokens < 0
            else (of_tokens, of_tokens - used_tokens if of_tokens > used_tokens else 0, reset),
            None,
        )

    def settle(self, tokens: int, money: int) -> None:
        """This was used in truth."""
        if self._open:
            self._open = False
            if tokens != self._tokens:
                self._bound.rates[0].change(self._seen[0], 0, tokens - self._tokens)


class BudgetsQuota(MemoryQuota):
    """Money per window of the calendar, of which nothing rolls over."""

    __slots__ = ()

    def take_now(self, tokens: int, money: int, least: int) -> MemoryGrant | None:
        """See MemoryQuota."""
        store = self._store
        if self._epoch != store.epoch:
            self._renew()
        bound = self._bound
        budgets = bound.budgets
        assert budgets is not None  # It has no other rules.
        seen: list[int] = []
        at = store.wall()
        money = budgets.hold(money, least, at, seen)
        if money < 0:
            self._refused = 0.0, at
            return None
        grant = _new(BudgetsGrant)
        grant.money = money
        grant.left = budgets.left
        grant._bound = bound
        grant._seen = seen
        grant._moment = 0.0, at
        grant._purses = budgets.purses
        grant._open = True
        return grant


class BudgetsGrant(MemoryGrant):
    """What was held in them."""

    __slots__ = ("left",)

    left: float
    _tokens = 0
    _resets = None
    _limits = None

    def standing(self) -> Standing:
        """The least that hard ones have left."""
        left = self.left
        if left <= 0:
            return None, None, 0
        return None, None, int(left) if self._bound.money else None

    def settle(self, tokens: int, money: int) -> None:
        """This was used in truth."""
        if self._open:
            self._open = False
            more = money - self.money
            for purse in self._purses:
                purse.used += more

    def cancel(self) -> None:
        """It came to nothing."""
        self.settle(0, 0)
