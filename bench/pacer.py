"""Paces any number of streams with one timer.

A wheel of millisecond slots: each turn steps whatever fell due since the last one. Streams keep
their own phase, so 500 of them do not burst together, and each due time is counted from the one
before, so a late turn is made up and the rate stays true. Without streams there is no timer.
"""

import asyncio
from typing import Protocol

_TICKS_PER_SECOND = 1000
_MOST = 20
"""Ticks made up in one turn: a pacer that is asked for too much leaves time for the rest."""


def ticks(seconds: float) -> int:
    """So many turns of the wheel, at least one."""
    return max(round(seconds * _TICKS_PER_SECOND), 1)


class Paced(Protocol):
    """Something that is stepped when it is due."""

    def step(self) -> int:
        """Do what is due; return the ticks until the next step, 0 at the end."""


class Pacer:
    """Steps streams when they are due; one per event loop."""

    __slots__ = ("_count", "_last", "_loop", "_slots")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, list[Paced]] = {}
        self._count = 0
        self._last = 0

    def __len__(self) -> int:
        return self._count

    def add(self, stream: Paced, delay: float) -> None:
        """Step `stream` for the first time after `delay` seconds, never in this loop turn."""
        now = int(self._loop.time() * _TICKS_PER_SECOND)
        if self._count == 0:
            self._last = now
            self._loop.call_later(1 / _TICKS_PER_SECOND, self._turn)
        self._count += 1
        due = max(now + round(delay * _TICKS_PER_SECOND), self._last + 1)
        self._slots.setdefault(due, []).append(stream)

    def _turn(self) -> None:
        slots = self._slots
        now = int(self._loop.time() * _TICKS_PER_SECOND)
        for due in range(self._last + 1, min(now, self._last + _MOST) + 1):
            self._last = due
            for stream in slots.pop(due, ()):
                # No call and no default here that is not needed: of each chunk this is all.
                wait = stream.step()
                if not wait:
                    self._count -= 1
                elif (slot := slots.get(due + wait)) is not None:
                    slot.append(stream)
                else:
                    slots[due + wait] = [stream]
        if self._count:
            self._loop.call_later(1 / _TICKS_PER_SECOND, self._turn)
