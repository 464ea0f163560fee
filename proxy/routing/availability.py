"""The share of attempts that went well within the last minutes, forgotten slot by slot."""

from typing import Final

SLOT: Final = 10.0
SLOTS: Final = 30


class Availability:
    """Of one target, over the last five minutes."""

    __slots__ = ("_good", "_now", "_total")

    def __init__(self) -> None:
        self._now = 0  # The number of the present slot.
        self._good = [0] * SLOTS
        self._total = [0] * SLOTS

    def add(self, now: float, *, good: bool) -> None:
        """One more attempt."""
        slot = int(now / SLOT)
        if slot != self._now:
            self._forget(slot)
        self._total[slot % SLOTS] += 1
        if good:
            self._good[slot % SLOTS] += 1

    def share(self, now: float) -> float | None:
        """Good ones of all; None: there was none."""
        self._forget(int(now / SLOT))
        total = sum(self._total)
        return sum(self._good) / total if total else None

    def _forget(self, slot: int) -> None:
        for passed in range(max(self._now + 1, slot - SLOTS + 1), slot + 1):
            self._good[passed % SLOTS] = self._total[passed % SLOTS] = 0
        self._now = max(self._now, slot)
