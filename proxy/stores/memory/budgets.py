"""The budgets of a quota: how much all of them can give, and holding it in all of them.

Where no budget rolls over, what is asked is held in all of them in one loop over purses and their
limits. Where that does not go, as it rarely is, it is found out how much they can give, with those
that roll over reckoned anew. What is not hard is held in all the same, and asked about nothing.

The purses are looked up anew when their window is over, or may be over for others: an account goes
to its next purse only after its calendar's clock went on.
"""

import math
from collections.abc import Callable, Sequence

from proxy.core.quota import SHARE, Calendar, Rule
from proxy.stores.memory.accounts import UNKNOWN, Account, CalendarClock, Purse


class Budget:
    """One money rule and its account."""

    __slots__ = ("_expires", "_rollover", "account", "hard", "limit")

    def __init__(self, rule: Rule, window: Calendar, account: Account) -> None:
        self.account = account
        self.limit = rule.limit
        self.hard = rule.hard
        self._rollover = window.rollover
        self._expires = window.expires
        if self.rolls:
            account.keep(window.expires)

    @property
    def rolls(self) -> bool:
        """Whether the rest of a window is added to later ones."""
        return self._rollover > 0

    def purse(self, at: float) -> Purse:
        """The present one."""
        purse = self.account.purse
        return self.account.turn(at) if at >= purse.end else purse

    def allowance(self) -> int:
        """The limit of the present window, with what earlier ones left over."""
        if not self.rolls:
            return self.limit
        return self.limit + self.account.carried(self.limit, self._rollover, self._expires)

    def left_in(self, purse: Purse, at: float) -> int:
        """What a purse, perhaps one whose window is over, can still give."""
        if not self.rolls:
            return self.limit - purse.used
        if purse is not self.account.purse or at >= purse.end:
            return 0  # The rest went on to later windows.
        return self.allowance() - purse.used


class Budgets:
    """All budgets of a quota."""

    __slots__ = (
        "_fixed", "_limited", "_rolling", "_wall", "_windows", "every", "left", "purses", "roll",
    )  # fmt: skip

    def __init__(self, every: tuple[Budget, ...], wall: Callable[[], float]) -> None:
        self.every = every
        self.roll = any(each.rolls for each in every)
        self._wall = wall
        self._fixed = tuple(
            (each.account, each.limit) for each in every if each.hard and not each.rolls
        )
        self._rolling = tuple(each for each in every if each.hard and each.rolls)
        self.purses: list[Purse] = []  # What the last hold is in. Never changed, but replaced.
        self.left: float = math.inf  # After the last hold, where nothing rolls over: the least.
        self._limited: list[tuple[Purse, float]] = []
        self._windows = [(each.account.clock, -math.inf) for each in every]  # Theirs: their ends.

    def hold(self, asked: int, least: int, at: float) -> int:
        """Hold in all as much as every hard budget can give. Returns what that is; -1 where it is
        less than the least."""
        if not self.roll:
            for clock, end in self._windows:
                if at >= end or clock.end != end:
                    self._turn(at)
                    break
            more = 0 if least >= asked else (SHARE - 1) * asked
            least_left = math.inf
            for purse, limit in self._limited:
                purse.used = used = purse.used + asked
                if (left := limit - used) < least_left:
                    least_left = left
            self.left = least_left
            if least_left >= more:
                return asked
            for purse in self.purses:
                purse.used -= asked
        amount = self._afford(asked, least, at)
        if amount >= 0:
            self._hold(amount, at)
        return amount

    def note(self, seen: list[int]) -> None:
        """Add what is spent and held of each, as it is right after a hold."""
        seen += [purse.used for purse in self.purses]

    def _turn(self, at: float) -> None:
        """Find the purses of the present windows."""
        self.purses = [each.purse(at) for each in self.every]
        self._limited = [
            (purse, each.limit if each.hard else math.inf)
            for each, purse in zip(self.every, self.purses, strict=True)
        ]
        ends: dict[CalendarClock, float] = {}
        for each, purse in zip(self.every, self.purses, strict=True):
            clock = each.account.clock  # One that was put back is behind it: look again next time.
            sure = purse.end == clock.end == ends.get(clock, clock.end)
            ends[clock] = clock.end if sure else -math.inf
        self._windows = list(ends.items())

    def _afford(self, asked: int, least: int, at: float) -> int:
        """As much of it as every hard budget can give; -1 where that is less than the least."""
        room = asked
        for account, limit in self._fixed:
            purse = account.purse
            if at >= purse.end:
                purse = account.turn(at)
            if purse.used + room > limit:
                room = limit - purse.used
        for budget in self._rolling:
            purse = budget.purse(at)
            room = min(room, budget.allowance() - purse.used)
        if room < least or room < 0:
            return self._overdrawn(asked, least, room)
        return room if least >= asked else self._shared(asked, least, at)

    def _hold(self, amount: int, at: float) -> None:
        self._turn(at)
        self.left = math.inf
        for purse, limit in self._limited:
            purse.used = used = purse.used + amount
            self.left = min(self.left, limit - used)

    def grow(self, asked: int, purses: Sequence[Purse]) -> int:
        """Hold as much more as every hard budget has left in the windows of the hold."""
        at = self._wall()
        room = asked
        for budget, purse in zip(self.every, purses, strict=True):
            if budget.hard:
                room = min(room, budget.left_in(purse, at))
        if room <= 0:
            return 0
        for purse in purses:
            purse.used += room
        return room

    def _shared(self, asked: int, least: int, at: float) -> int:
        """What one demand is given that can do with less."""
        room = asked
        for account, limit in self._fixed:
            room = min(room, (limit - account.purse.used) // SHARE)
        for budget in self._rolling:
            room = min(room, (budget.allowance() - budget.purse(at).used) // SHARE)
        return max(room, least)

    def _overdrawn(self, asked: int, least: int, room: int) -> int:
        """What costs nothing may go on when a budget is spent, if that is known."""
        known = all(each.account.purse.used < UNKNOWN for each in self.every if each.hard)
        return max(0, room) if known and max(0, room) >= min(least, asked) else -1
