"""Limits and budgets of one worker, in memory: the counts by name, bound to quotas on demand.

Names of customers and sessions are without bound, so counts are not: whenever one is made, two are
looked at, and forgotten if nothing in them can matter any more; `run` looks at the others. `epoch`
tells quotas that some were forgotten, so that a quota kept for long does not count by itself what
the next one begins anew.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from proxy.base import clock
from proxy.core.quota import Balances, Calendar, Rule, Sliding
from proxy.stores.memory.accounts import UNKNOWN, Account, CalendarClock
from proxy.stores.memory.bound import Bound, State, bound
from proxy.stores.memory.budgets import Budget
from proxy.stores.memory.openings import PATIENCE, Openings
from proxy.stores.memory.quota import MemoryQuota
from proxy.stores.memory.usual import quota_of
from proxy.stores.memory.windows import Slots, Ticker, Window

_SWEEP_EVERY: Final = 1.0
_SWEPT_AT_ONCE: Final = 1000
_SWEPT_PER_NEW: Final = 2

Clock = Callable[[], float]
Kept = TypeVar("Kept", Window, Slots, Account)


class MemoryQuotas:
    """All counts. Without `balances` all begin at 0; with it, `run` has to run."""

    __slots__ = (
        "_calendars", "_openings", "_queue", "_states", "_tickers", "epoch", "monotonic",
        "patience", "wall",
    )  # fmt: skip

    def __init__(
        self,
        balances: Balances | None = None,
        *,
        monotonic: Clock = clock.monotonic,
        wall: Clock = clock.wall,
        patience: float = PATIENCE,
    ) -> None:
        """`patience`: seconds that a request waits for a balance."""
        self.patience = patience
        self.monotonic = monotonic
        self.wall = wall
        self.epoch = 0
        self._openings = Openings(balances, wall) if balances is not None else None
        self._states: dict[object, State] = {}
        self._queue: deque[State] = deque()
        self._tickers: dict[int, Ticker] = {}
        self._calendars: dict[tuple[str, str], CalendarClock] = {}

    @property
    def accounts(self) -> int:
        """How many counts are kept."""
        return len(self._states)

    def bind(self, rules: tuple[Rule, ...]) -> MemoryQuota:
        """The rules as one quota. Raises ValueError where two share a count."""
        if len({rule.key for rule in rules}) < len(rules):
            raise ValueError("two rules of a quota have the same key: it would be counted twice")
        return quota_of(self, rules)

    def counts_of(self, rules: tuple[Rule, ...]) -> Bound:
        """The counts of a quota's rules: those that are, or new ones."""
        return bound([(rule, self._count(rule)) for rule in rules], self.wall)

    def correct(self, id: str, money: int) -> None:
        """Nothing to correct: all holds are this worker's own, and end with it."""

    async def soon_known(self, until: float) -> bool:
        """Whether more may be known of what was spent, before that time of the loop."""
        return self._openings is not None and await self._openings.answered(until)

    def failing(self) -> str | None:
        """Why opening balances are not known, or None."""
        return self._openings.failure if self._openings is not None else None

    async def opened(self, patience: float) -> None:
        """Return when all opening balances are known or one cannot be, or after so many seconds;
        `run` has to run."""
        if self._openings is not None:
            await self._openings.known(patience)

    async def run(self) -> None:
        """Fetch opening balances and forget what is idle. Cancel it."""
        while True:
            if self._openings is None:
                await asyncio.sleep(_SWEEP_EVERY)
            else:
                await self._openings.wanted(_SWEEP_EVERY)
                await self._openings.fetch()
            self.sweep(_SWEPT_AT_ONCE)

    async def close(self) -> None:
        """Nothing waits, and nothing is held elsewhere."""

    def sweep(self, most: int) -> None:
        """Look at so many counts, those longest not looked at first, and forget the idle ones."""
        now, at = self.monotonic(), self.wall()
        for _ in range(min(most, len(self._queue))):
            state = self._queue.popleft()
            if state.idle(now, at):
                del self._states[state.key]
                state.forgotten()
                self.epoch += 1
            else:
                self._queue.append(state)

    def _count(self, rule: Rule) -> Window | Slots | Budget:
        match rule.measure, rule.window:
            case "requests" | "tokens", Sliding(seconds):
                return self._window(rule, seconds)
            case "concurrency", None:
                return self._slots(rule)
            case "money", Calendar() as calendar:
                return Budget(rule, calendar, self._account(rule, calendar))
            case _:
                raise ValueError(f"{rule.key}: no {rule.measure} can be counted in {rule.window}")

    def _window(self, rule: Rule, seconds: int) -> Window:
        key = (rule.key, rule.measure, seconds)
        found = self._states.get(key)
        if isinstance(found, Window):
            return found
        if (ticker := self._tickers.get(seconds)) is None:
            ticker = self._tickers[seconds] = Ticker(seconds)
        ticker.move(self.monotonic())
        return self._keep(Window(key, ticker))

    def _slots(self, rule: Rule) -> Slots:
        key = (rule.key, rule.measure)
        found = self._states.get(key)
        return found if isinstance(found, Slots) else self._keep(Slots(key))

    def _account(self, rule: Rule, window: Calendar) -> Account:
        calendar = (window.period, window.zone)
        key = (rule.key, rule.measure, *calendar)
        found = self._states.get(key)
        if isinstance(found, Account):
            return found
        if (known := self._calendars.get(calendar)) is None:
            known = self._calendars[calendar] = CalendarClock(window.period, window.zone)
        opening = 0 if self._openings is None else UNKNOWN
        account = self._keep(Account(key, known, opening, self.wall()))
        if self._openings is not None:
            self._openings.want(account, rule)
        return account

    def _keep(self, state: Kept) -> Kept:
        self.sweep(_SWEPT_PER_NEW)
        self._states[state.key] = state
        self._queue.append(state)
        return state
