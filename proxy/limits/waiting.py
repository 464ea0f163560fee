"""Where requests wait for a slot, or for room in a provider's limits: bounded, fair between keys.

Whoever meets such a limit and finds it full waits for that limit. Each key has a line of its own
there; the lines take turns, so that one that sends a thousand requests keeps another waiting
for one turn only. A slot that ends in this worker wakes the next at once; one that ends elsewhere
is found by asking again now and then. Who comes later does not overtake.

A wake is a promise that somebody tries: who was woken and does not take, for whatever reason,
passes it on.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from proxy.core.quota import Demand, Grant, Quota, QuotaExceeded, Rule

LONGEST = 60.0
"""Seconds that a request waits for a slot."""

_LOOK_AGAIN = 0.1  # Seconds: for slots that another worker freed.

_Line = deque["asyncio.Future[None]"]


def _is_of_slots(rule: Rule) -> bool:
    return rule.measure == "concurrency"


class WaitingRoom:
    """One for each worker, and for each provider that has a queue."""

    __slots__ = ("_halls", "_waits_for", "waiting")

    def __init__(self, waits_for: Callable[[Rule], bool] = _is_of_slots) -> None:
        """`waits_for`: which rules are worth waiting for."""
        self._waits_for = waits_for
        self._halls: dict[str, dict[str, _Line]] = {}  # By Rule.key, then by the caller's key.
        self.waiting = 0

    async def take(
        self, quota: Quota, demand: Demand, key: str, most: int, patience: float = LONGEST
    ) -> Grant:
        """Take, or wait for so many seconds and take, if fewer than `most` wait. Raises
        QuotaExceeded, QuotaUnknown."""
        full = self._hall_before(quota) if self.waiting else None
        if full is None or self.waiting >= most:
            try:
                return await quota.take(demand)
            except QuotaExceeded as no:
                full = self._full(no)
                if full is None or self.waiting >= most or patience <= 0:
                    raise
        self.waiting += 1
        try:
            return await self._wait(quota, demand, (full, key), patience)
        finally:
            self.waiting -= 1

    def freed(self, quota: Quota | None) -> None:
        """A slot of each of its limits was freed: let the next ones try."""
        if quota is not None and self._halls:
            for rule in quota.rules:
                if self._waits_for(rule):
                    self._wake(rule.key)

    def wake_all(self) -> None:
        """Something may have been freed of each limit: let the next ones try."""
        for full in list(self._halls):
            self._wake(full)

    def _full(self, no: QuotaExceeded) -> str | None:
        """The limit that refuses, may open, and is worth waiting for, or None."""
        rule = no.denial.level.rule
        opens = no.denial.retry_after is not None
        return rule.key if opens and self._waits_for(rule) else None

    def _hall_before(self, quota: Quota) -> str | None:
        """The first of its limits that others wait for already."""
        keys = (rule.key for rule in quota.rules if self._waits_for(rule))
        return next((key for key in keys if key in self._halls), None)

    async def _wait(
        self, quota: Quota, demand: Demand, place: tuple[str, str], patience: float
    ) -> Grant:
        full, key = place
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        again = False
        while True:
            woken = await self._turn(full, key, until, front=again)
            pass_on = woken
            try:
                grant = await quota.take(demand)
            except QuotaExceeded as no:
                now_full = self._full(no)
                if now_full is None or loop.time() >= until:
                    raise
                again = now_full == full  # It was its turn: it keeps its place.
                pass_on = woken and not again
            else:
                pass_on = _has_more(grant, full)
                return grant
            finally:
                if pass_on:
                    self._wake(full)
            full = now_full

    async def _turn(self, full: str, key: str, until: float, *, front: bool) -> bool:
        """Return when it is this one's turn: woken, or first and a while has passed; and when there
        is no more time."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        line = self._join(full, key, turn, front=front)
        try:
            while not await _woken(turn, min(_LOOK_AGAIN, max(0.0, until - loop.time()))):
                if line[0] is turn or loop.time() >= until:
                    return False
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._wake(full)
            raise
        else:
            return True
        finally:
            self._leave(full, key, turn)

    def _join(self, full: str, key: str, turn: "asyncio.Future[None]", *, front: bool) -> _Line:
        hall = self._halls.setdefault(full, {})
        line = hall.get(key)
        if line is None:
            line = hall[key] = deque()
        if front:
            line.appendleft(turn)
            first = {key: line}
            self._halls[full] = first | hall
        else:
            line.append(turn)
        return line

    def _leave(self, full: str, key: str, turn: "asyncio.Future[None]") -> None:
        hall = self._halls.get(full)
        line = hall.get(key) if hall is not None else None
        if hall is None or line is None:
            return
        if turn in line:
            line.remove(turn)
        if not line:
            del hall[key]
            if not hall:
                del self._halls[full]

    def _wake(self, full: str) -> None:
        hall = self._halls.get(full, {})
        for key, line in list(hall.items()):
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    hall[key] = hall.pop(key)  # Its next turn comes after the others.
                    return


async def _woken(turn: "asyncio.Future[None]", seconds: float) -> bool:
    """Wait for a while. Whether it was woken."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.shield(turn)
    except TimeoutError:
        return turn.done()
    return True


def _has_more(grant: Grant, full: str) -> bool:
    """Whether there are more slots than the one that was taken: of those freed elsewhere nobody
    tells."""
    return any(level.rule.key == full and level.remaining > 0 for level in grant.levels())
