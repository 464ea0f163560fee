"""Looks at the books when something was added to them, and keeps an alert for what is passed.

Only what is recorded counts: an alert comes seconds late, and never for money that was only held.
A look takes at most a twentieth of the time: the longer it took, the later the next one. While the
store is away nothing is missed: the next look goes back to the oldest record that was not in the
store, and the first one of a process a whole day.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

from proxy.alerts.message import body
from proxy.alerts.thresholds import Crossing, Subject, crossings, questions, windows
from proxy.base.clock import monotonic
from proxy.base.periods import Span
from proxy.core.accounting import StoreAway
from proxy.core.alerts import Alert, AlertStore, StoredBudgets, WatchedBudget
from proxy.core.caller import ModelPatterns
from proxy.core.quota import Scope

log = logging.getLogger("llm-proxy.alerts")

_LATE = 3600.0  # Seconds after its end in which a window is looked at in any case.
_AT_START = 86400.0
_MOST_KEPT = 100_000
_BEGINNING = 0.5  # Seconds between two looks whether there is a store by now.

Read = Callable[[StoredBudgets], Sequence[WatchedBudget]]
"""What the documents of the store say. Called in a thread."""


class Shipping(NamedTuple):
    """How the store is filled. `shipped`: changes when something was; `lag`: the age of the oldest
    record that is not in it, in seconds."""

    shipped: int
    lag: float


@dataclass(frozen=True, slots=True)
class LookPace:
    """Seconds from one look to the next: `look` at least, `idle` though nothing was shipped from
    here. `rest`: how many times as long as it took a look is not repeated."""

    look: float = 5.0
    idle: float = 60.0
    rest: float = 20.0
    forget: float = 3600.0


class Watch:
    """Finds what there is to tell."""

    def __init__(
        self,
        store: AlertStore,
        shipping: Callable[[], Shipping | None],
        read: Read,
        wall: Callable[[], float],
        pace: LookPace,
    ) -> None:
        """`shipping`: None while there is no store."""
        self._store = store
        self._shipping = shipping
        self._read = read
        self._wall = wall
        self._pace = pace
        self._budgets: Sequence[WatchedBudget] = ()
        self._entries: frozenset[Scope] = frozenset()
        self._receivers: Sequence[str] = ()
        self._stored: Sequence[WatchedBudget] = ()
        self._seq: int | None = None
        self._kept: set[object] = set()
        self._shipped: int | None = None
        self._oldest = wall() - _AT_START
        self._looked = self._tidied = float("-inf")
        self._news = asyncio.Event()
        self.away = False  # Whether the last look failed for want of the store.
        self.kept = 0

    def apply(
        self, budgets: Sequence[WatchedBudget], entries: Iterable[Scope], receivers: Sequence[str]
    ) -> None:
        """Watch these from now on. `entries`: all scopes that the configuration names."""
        self._budgets = budgets
        self._entries = frozenset(entries)
        self._receivers = receivers
        self._shipped = None
        self._news.set()

    async def run(self, send: Callable[[], None]) -> None:
        """Look for ever; call `send` when there is something new to send."""
        while True:
            began = monotonic()
            try:
                if self._is_due() and await self.look():
                    send()
            except StoreAway as error:
                if not self.away:
                    log.warning("alerts wait for the store: %s", error)
                self.away = True
            except Exception:  # The last net: nobody else would look.
                log.exception("looking for alerts failed; trying again")
            pause = max(self._pace.look, self._pace.rest * (monotonic() - began))
            if self._shipping() is None:
                pause = min(pause, _BEGINNING)
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                continue  # Time for another look.
            self._news.clear()

    async def look(self) -> int:
        """Look now; return how many alerts were new. Raises StoreAway."""
        shipping = self._shipping()
        if shipping is None:
            return 0
        began, now = monotonic(), self._wall()
        await self._read_store()
        found = await self._own(await self._crossings(now))
        fresh = {each.key: each for each in found if each.key not in self._kept}
        new = 0
        if fresh:
            alerts = [_alert(each, now) for each in fresh.values()]
            new = await self._store.keep(alerts, self._receivers)
            if len(self._kept) + len(fresh) > _MOST_KEPT:
                self._kept.clear()
            self._kept.update(fresh)
        if began - self._tidied >= self._pace.forget:
            await self._store.forget(self._receivers)
            self._tidied = began
        self._shipped, self._looked, self.away = shipping.shipped, began, False
        self._oldest = now - shipping.lag
        self.kept += new
        return new

    def _is_due(self) -> bool:
        shipping = self._shipping()
        if shipping is None:
            return False
        self._oldest = min(self._oldest, self._wall() - shipping.lag)
        idle = monotonic() - self._looked >= self._pace.idle
        return idle or shipping.shipped != self._shipped

    async def _read_store(self) -> None:
        changed = await self._store.budgets(self._seq)
        if changed is not None:
            self._stored = await asyncio.to_thread(self._read, changed)
            self._seq = changed.seq

    async def _crossings(self, now: float) -> list[Crossing]:
        reach = min(self._oldest, now - _LATE)
        plain: list[Subject] = []
        by_model: list[Subject] = []
        for subject in self._subjects(now, reach):
            (plain if subject[0].of_key is None else by_model).append(subject)
        groups = questions(plain)
        answers = await self._store.spent([question for question, _ in groups]) if groups else []
        found = [
            crossing
            for (_, subjects), spent in zip(groups, answers, strict=True)
            for subject in subjects
            for crossing in crossings(subject, spent)
        ]
        return found + await self._crossings_by_model(by_model)

    async def _crossings_by_model(self, subjects: Sequence[Subject]) -> list[Crossing]:
        spent: dict[tuple[str, Span], Mapping[str, int]] = {}
        found: list[Crossing] = []
        for budget, window in subjects:
            assert budget.of_key is not None
            key, pattern = budget.of_key
            if (key, window) not in spent:
                spent[key, window] = await self._store.spent_by_model(key, window)
            models = ModelPatterns.of((pattern,))
            amount = sum(cost for name, cost in spent[key, window].items() if name in models)
            found += crossings((budget, window), {budget.scope.name: amount})
        return found

    def _subjects(self, now: float, reach: float) -> Iterator[Subject]:
        stored = (each for each in self._stored if each.scope not in self._entries)
        for budget in (*self._budgets, *stored):
            for window in windows(budget, now, reach):
                if budget.each is not None or not self._all_kept(budget, window):
                    yield budget, window

    def _all_kept(self, budget: WatchedBudget, window: Span) -> bool:
        return all(
            (budget.scope, budget.rule, window.start, percent) in self._kept
            for percent in budget.percents
        )

    async def _own(self, found: Sequence[Crossing]) -> list[Crossing]:
        """Without those that a `*` found and whose scope has an entry of its own."""
        starred = {each.scope for each in found if each.budget.each is not None} - self._entries
        written = await self._store.written(starred) if starred else frozenset()
        free = starred - written
        return [each for each in found if each.budget.each is None or each.scope in free]


def _alert(crossing: Crossing, at: float) -> Alert:
    return Alert(
        f"alert_{uuid4().hex}",
        crossing.scope,
        crossing.budget.rule,
        crossing.window,
        crossing.percent,
        body(crossing, at),
    )
