"""Money per window of the calendar: what is spent and held, and what earlier windows left over.

A `Purse` is one window of an account. A grant keeps the purse it took from, so its settlement goes
there however late it is, and an ended window needs no place here unless its rest rolls over. An
account goes to the next purse when it is asked after the end of its present one, never back: a
clock that is put back finds what was spent, not an empty purse.

An account whose opening balance is not known yet begins at `UNKNOWN`, which no budget can pay.
What is counted meanwhile is right once the true opening replaces it.
"""

import math
from collections.abc import Sequence
from typing import Final

from proxy.base.periods import Period, Span, before, span

UNKNOWN: Final = 1 << 80
"""More than any limit. Nothing that is really spent gets near it."""

_UNASKED: Final = 3600.0  # Seconds after which an account that was never asked is forgotten.


class CalendarClock:
    """The window in which all accounts of one calendar are; computed once per window."""

    __slots__ = ("_earlier", "_period", "_zone", "end", "start")

    def __init__(self, period: Period, zone: str) -> None:
        self._period: Period = period
        self._zone = zone
        self._earlier: list[int] = []
        self.start = 0
        self.end = -math.inf

    def move(self, at: float) -> None:
        """Go to the window of a moment, unless it is over already."""
        if at >= self.end:
            self.start, end = span(self._period, self._zone, at)
            self.end = math.inf if end is None else end
            self._earlier.clear()

    def earlier(self, count: int) -> list[int]:
        """Where the windows before this one began, the last first."""
        while len(self._earlier) < count:
            start = self._earlier[-1] if self._earlier else self.start
            found = before(self._period, self._zone, Span(start, None))
            if found is None:
                break
            self._earlier.append(found.start)
        return self._earlier[:count]


class Purse:
    """One window of an account: what is spent and held in it."""

    __slots__ = ("end", "start", "used")

    def __init__(self, start: int, end: float, used: int) -> None:
        self.start = start
        self.end = end
        self.used = used


class Account:
    """The money of one scope under one calendar."""

    __slots__ = (
        "_keep", "_known_from", "_past", "clock", "key", "live", "made", "opening",
        "opening_start", "purse", "since",
    )  # fmt: skip

    def __init__(self, key: object, clock: CalendarClock, opening: int, at: float) -> None:
        clock.move(at)
        self.key = key
        self.live = True
        self.made = at
        self.opening = opening  # Spent before this account was made, in the window of then.
        self.opening_start = clock.start
        self.since: int | None = None  # The first window in which it was asked.
        self.purse = Purse(0, -math.inf, 0)  # Over since ever.
        self.clock = clock
        self._keep = 0  # Windows whose rest rolls over.
        self._past: dict[int, Purse] = {}
        self._known_from: int | None = None  # The first window before its own that it knows of.

    def turn(self, at: float) -> Purse:
        """The purse of a moment after the end of the present one."""
        self.clock.move(at)
        start = self.clock.start
        if self.since is None:
            self.since = start
        elif self._keep:
            self._past[self.purse.start] = self.purse
            kept = self.clock.earlier(self._keep)
            self._past = {begin: self._past[begin] for begin in kept if begin in self._past}
        used = self.opening if start == self.opening_start else 0
        self.purse = Purse(start, self.clock.end, used)
        return self.purse

    def open(self, spent: int, earlier: Sequence[int] = ()) -> None:
        """The opening balance is known now; and what was spent in windows before it, the last
        first."""
        if self.opening == UNKNOWN:
            for purse in (self.purse, *self._past.values()):
                if purse.start == self.opening_start and purse.used >= UNKNOWN:
                    purse.used += spent - UNKNOWN
            self.opening = spent
            if self._keep:
                self._remember((spent, *earlier))

    def _remember(self, spent: Sequence[int]) -> None:
        """What was spent in its first window and those before it, which was something in the
        oldest of them."""
        windows = (self.opening_start, *self.clock.earlier(len(spent) - 1))
        end = self.clock.end
        for start, used in zip(windows, spent, strict=False):
            if start != self.purse.start:
                self._past.setdefault(start, Purse(start, end, used))
            if used:
                self._known_from = start
            end = float(start)

    def opens_at(self, at: float) -> bool:
        """Whether its opening balance still matters: all of a later window is counted here."""
        self.clock.move(at)
        return self.clock.start == self.opening_start

    def keep(self, windows: int) -> None:
        """Remember so many ended windows."""
        self._keep = max(self._keep, windows)

    def carried(self, limit: int, rollover: float, expires: int) -> int:
        """What the last `expires` windows left over and the ones after them did not spend yet.

        Oldest first; what a window spent beyond its own limit came from those before it. Where
        some of that came from windows older than these, this is less than the truth, never more.
        """
        rests: list[int] = []
        since = self.since if self._known_from is None else self._known_from
        if since is None:
            return 0
        for start in reversed(self._earlier(expires)):
            if start < since:
                continue
            purse = self._past.get(start)
            rest = limit - (purse.used if purse is not None else 0)
            if rest >= 0:
                rests.append(int(rest * rollover))
            else:
                rests = _spend(rests, -rest)
        return sum(rests)

    def forgotten(self) -> None:
        """The store knows it no more."""
        self.live = False

    def idle(self, _: float, at: float) -> bool:
        """Whether nothing in it can matter: its window is over, and its rest has expired."""
        if self.since is None:
            return at - self.made >= _UNASKED
        if at < self.purse.end:
            return False
        self.clock.move(at)
        kept = self.clock.earlier(self._keep)
        return not kept or self.purse.start < kept[-1]

    def _earlier(self, count: int) -> list[int]:
        return [start for start in self.clock.earlier(count) if start < self.purse.start]


def _spend(rests: list[int], amount: int) -> list[int]:
    """What is left after an amount is taken from the first ones first."""
    left = []
    for rest in rests:
        part = min(rest, amount)
        amount -= part
        left.append(rest - part)
    return left
