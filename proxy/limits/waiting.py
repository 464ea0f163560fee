"""Where requests wait for a slot: bounded, and fair between keys.

Each key has a line of its own; the lines take turns, so that one that sends a thousand requests
keeps another waiting for one turn only. A slot that ends in this worker wakes the next at once;
one that ends elsewhere is found by asking again now and then.
"""

import asyncio
from collections import deque

from proxy.core.quota import Demand, Grant, Quota, QuotaExceeded

_LOOK_AGAIN = 0.1  # Seconds: for slots that another worker freed.
_LONGEST = 60.0


class WaitingRoom:
    """One for each worker."""

    __slots__ = ("_lines", "_most", "waiting")

    def __init__(self, most: int) -> None:
        """`most`: requests that may wait at the same time; 0: none."""
        self._most = most
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        self.waiting = 0

    async def take(self, quota: Quota, demand: Demand, key: str) -> Grant:
        """Take, or wait for a slot and take. Raises QuotaExceeded, QuotaUnknown."""
        try:
            return await quota.take(demand)
        except QuotaExceeded as no:
            if not self._may_wait(no):
                raise
        return await self._wait(quota, demand, key)

    def freed(self) -> None:
        """A slot may have been freed: let the next one try."""
        if not self.waiting:
            return
        for key, line in list(self._lines.items()):
            while line:
                first = line.popleft()
                if not first.done():
                    first.set_result(None)
                    self._lines[key] = self._lines.pop(key)  # Its next turn comes after the others.
                    return
            del self._lines[key]

    async def _wait(self, quota: Quota, demand: Demand, key: str) -> Grant:
        loop = asyncio.get_running_loop()
        until = loop.time() + _LONGEST
        self.waiting += 1
        front = False
        try:
            while True:
                await self._turn(key, front=front)
                try:
                    return await quota.take(demand)
                except QuotaExceeded as no:
                    if not self._is_slot(no) or loop.time() >= until:
                        raise
                front = True  # It was its turn: it keeps its place.
        finally:
            self.waiting -= 1

    async def _turn(self, key: str, *, front: bool) -> None:
        turn = asyncio.get_running_loop().create_future()
        line = self._lines.setdefault(key, deque())
        (line.appendleft if front else line.append)(turn)
        try:
            async with asyncio.timeout(_LOOK_AGAIN):
                await turn
        except TimeoutError:
            return
        finally:
            turn.cancel()
            if turn in line:
                line.remove(turn)
            if not line and self._lines.get(key) is line:
                del self._lines[key]

    def _may_wait(self, no: QuotaExceeded) -> bool:
        return self.waiting < self._most and self._is_slot(no)

    @staticmethod
    def _is_slot(no: QuotaExceeded) -> bool:
        denial = no.denial
        return denial.level.rule.measure == "concurrency" and denial.level.rule.limit > 0
