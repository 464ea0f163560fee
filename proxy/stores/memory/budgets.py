"""The budgets of a quota: how much all of them can give, and holding it in all of them.

Where no budget rolls over, what is asked is held in all of them in one loop over purses and their
limits. Where that does not go, as it rarely is, it is found out how much they can give, with those
that roll over reckoned anew. What is not hard is held in all the same, and asked about nothing.

The purses are looked up anew when their window is over, or may be over for others: an account goes
to its next purse only after its calendar's clock went on.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

from proxy.core.quota import SHARE, Calendar, Rule
from proxy.stores.memory.accounts import UNKNOWN, Account, CalendarClock, Purse

_ENOUGH: Final = 1 << 100
"""More than can be asked for, or left. No float: money is compared with integers only."""


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
        "_fixed", "_limited", "_others", "_rolling", "_wall", "_windows", "every", "left", "purses",
        "roll",
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
        self.left: int | None = None  # After the last hold: the least that a hard one has left.
        self._limited: list[tuple[Purse, int]] = []  # Those of `purses` that are hard;
        self._others: list[Purse] = []  # and those that are not.
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
            if self._charge(asked) >= more:
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
        pairs = list(zip(self.every, self.purses, strict=True))
        self._limited = [(purse, each.limit) for each, purse in pairs if each.hard]
        self._others = [purse for each, purse in pairs if not each.hard]
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
        _ = self._charge(amount)

    def _charge(self, amount: int) -> int:
        """Add to all purses. Returns the least that a hard one has left; where none is, what is
        enough for anything."""
        least = _ENOUGH
        for purse, limit in self._limited:
            purse.used = used = purse.used + amount
            if (left := limit - used) < least:
                least = left
        for purse in self._others:
            purse.used += amount
        self.left = least if self._limited else None
        return least

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
