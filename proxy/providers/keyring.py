"""Our keys at one vendor: taken by weight, smoothly, and left alone for a while when refused.

| the vendor says | the key rests |
|---|---|
| 401, 402, 403, no money left | a minute, each time in a row twice as long, up to an hour |
| 429 | as long as it asks, or ten seconds |
| nothing left until a reset | until then, a minute at most |

A rest is never made shorter, and nothing is refused because of it: where all rest, the key that
returns first is used. The choice is nginx's smooth weighted round robin, among those that do not
rest. A single key never rests.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from proxy.base.clock import monotonic

REFUSED: Final = 60.0
LONGEST: Final = 3600.0
LIMITED: Final = 10.0
SPENT: Final = 60.0

Field = tuple[bytes, bytes]


class Keys:
    """The port `KeyRing`. `fields`: what is sent, with the weight of each."""

    __slots__ = ("_clock", "_fields", "_resting", "_share", "_strikes", "_until", "_weights")

    def __init__(
        self, fields: Sequence[tuple[Field, float]], clock: Callable[[], float] = monotonic
    ) -> None:
        if not fields:
            raise ValueError("a ring needs a key")
        self._clock = clock
        self._fields = tuple(field for field, _ in fields)
        self._weights = tuple(weight for _, weight in fields)
        self._share = [0.0] * len(fields)
        self._until = [0.0] * len(fields)
        self._strikes = [0] * len(fields)
        self._resting = False  # Whether any may: no look at the clock where none does.

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Keys({len(self._fields)})"

    def made_of(self, fields: Sequence[tuple[Field, float]]) -> bool:
        """Whether it is a ring of exactly these."""
        return tuple(fields) == tuple(zip(self._fields, self._weights, strict=True))

    def take(self) -> int:
        if len(self._fields) == 1:
            return 0
        if not self._resting:
            return self._next(range(len(self._fields)))
        fresh = self._fresh()
        if fresh:
            return self._next(fresh)
        return min(range(len(self._until)), key=self._until.__getitem__)

    def field(self, key: int) -> Field:
        return self._fields[key]

    def has_other(self, key: int) -> bool:
        if not self._resting:
            return len(self._fields) > 1
        return any(other != key for other in self._fresh())

    def failed(self, key: int, reason: str, seconds: float | None = None) -> bool:
        if reason == "auth":
            strikes = self._strikes[key]
            self._strikes[key] = strikes + 1
            return self._rest(key, min(LONGEST, REFUSED * 2.0 ** min(strikes, 16)))
        if reason == "rate_limit":
            return self._rest(key, min(LONGEST, LIMITED if seconds is None else seconds))
        return False

    def worked(self, key: int) -> None:
        if self._strikes[key]:
            self._strikes[key] = 0

    def rest(self, key: int, seconds: float) -> bool:
        return self._rest(key, min(SPENT, seconds))

    def soonest(self) -> float:
        if len(self._fields) == 1:
            return inf
        return max(0.0, min(self._until) - self._clock())

    def resting(self) -> int:
        """How many rest now."""
        return len(self._fields) - len(self._fresh()) if self._resting else 0

    def _rest(self, key: int, seconds: float) -> bool:
        if len(self._fields) == 1:
            return False
        self._until[key] = max(self._until[key], self._clock() + seconds)
        self._resting = True
        return self.has_other(key)

    def _fresh(self) -> list[int]:
        now = self._clock()
        fresh = [key for key, until in enumerate(self._until) if until <= now]
        if len(fresh) == len(self._until):
            self._resting = False
        return fresh

    def _next(self, among: Sequence[int]) -> int:
        share, weights = self._share, self._weights
        best = among[0]
        total = 0.0
        for key in among:
            weight = weights[key]
            total += weight
            share[key] += weight
            if share[key] > share[best]:
                best = key
        share[best] -= total
        return best
