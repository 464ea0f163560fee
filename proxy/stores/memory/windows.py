"""Counts over the last so many seconds: a ring of 61 buckets and their total (ADR 0009).

A bucket is a sixtieth of the window. The present one and the 60 before it count, so whatever
begins within a window's length ends in them, wherever it begins. All windows of one length share a
`Ticker`, so the present bucket and its place in every ring are found once per decision. A ring
catches up with it when it is next asked: each bucket is emptied once, so that costs O(1) per take.

Neither goes back: a clock that did would find its place in the ring taken by later counts.
"""

import math
from typing import Final

BUCKETS: Final = 60
KEPT: Final = BUCKETS + 1


class Ticker:
    """Where in time all windows of one length are."""

    __slots__ = ("bucket", "end", "size", "slot")

    def __init__(self, seconds: int) -> None:
        self.size = seconds / BUCKETS
        self.bucket = -1  # The present one, counted from the clock's zero.
        self.slot = 0  # Its place in every ring.
        self.end = float("-inf")  # When it is over.

    def move(self, now: float) -> None:
        """The present bucket is over."""
        self.bucket = max(self.bucket, int(now // self.size))
        self.slot = self.bucket % KEPT
        self.end = (self.bucket + 1) * self.size

    def until_out(self, bucket: int, now: float) -> float:
        """Seconds until a bucket counts no more."""
        return max(0.0, (bucket + KEPT) * self.size - now)


class Window:
    """How much was taken lately. Right when `head` is the ticker's bucket; else `advance` first.

    What is taken now goes to `total` alone: the present bucket is what `closed` does not have.
    """

    __slots__ = ("_closed", "_counts", "_limited", "head", "key", "live", "ticker", "total")

    def __init__(self, key: object, ticker: Ticker) -> None:
        self.key = key
        self.ticker = ticker
        self.live = True
        self.head = ticker.bucket
        self.total = 0
        self._closed = 0  # Of the total, what lies in the buckets before `head`.
        self._counts = [0] * KEPT  # Of those buckets.
        self._limited: Limited | None = None

    def limited(self, limit: int) -> "Limited":
        """It with its limit: the same object for all quotas that have this rule. Thousands do, and
        so what they share stays in the processor's cache."""
        known = self._limited
        if known is None or known[2] != limit:
            known = self._limited = self, 1 / limit if limit else math.inf, limit
        return known

    def forgotten(self) -> None:
        """The store knows it no more. What was taken from it still holds it, and no longer than
        that: it holds itself no more."""
        self.live = False
        self._limited = None

    def advance(self, bucket: int) -> None:
        """Make `bucket` the present one."""
        counts = self._counts
        if bucket - self.head >= KEPT:
            self.total = 0
            self._counts = [0] * KEPT
        else:
            counts[self.head % KEPT] = self.total - self._closed
            for passed in range(self.head + 1, bucket + 1):
                self.total -= counts[passed % KEPT]
                counts[passed % KEPT] = 0
        self._closed = self.total
        self.head = bucket

    def change(self, bucket: int, by: int) -> None:
        """Add to what was taken in a bucket, if it still counts."""
        if bucket == self.head:
            self.total += by
        elif self.head - bucket < KEPT:
            self._counts[bucket % KEPT] += by
            self._closed += by
            self.total += by

    def until_free(self, amount: int, now: float) -> float:
        """Seconds until so much of the total counts no more. `amount` is at most the total."""
        freed = 0
        for bucket in range(self.head - BUCKETS, self.head):
            freed += self._counts[bucket % KEPT]
            if freed >= amount:
                return self.ticker.until_out(bucket, now)
        return self.ticker.until_out(self.head, now)

    def until_empty(self, now: float) -> float:
        """Seconds until nothing counts any more; 0 when nothing does."""
        if not self.total:
            return 0.0
        last = self.head
        if self.total == self._closed:
            while not self._counts[last % KEPT]:
                last -= 1
        return self.ticker.until_out(last, now)

    def idle(self, now: float, _: float) -> bool:
        """Whether nothing that was ever taken here, or is yet to be settled, can count."""
        return now // self.ticker.size - self.head >= KEPT


Limited = tuple[Window, float, int]
"""A count, by what to multiply it for the part that is used, and the limit as it is told. Of a
limit of 0 all is used at any time."""


class Slots:
    """How many grants are held."""

    __slots__ = ("_looked", "key", "live", "taken", "used")

    def __init__(self, key: object) -> None:
        self.key = key
        self.live = True
        self.used = 0
        self.taken = 0  # Ever.
        self._looked = 0

    def take(self, limit: int | None, seen: list[int]) -> bool:
        """Take one, and note how many are held then. Whether it fits; None: any number does."""
        self.taken += 1
        self.used += 1
        seen.append(self.used)
        return limit is None or self.used <= limit

    def forgotten(self) -> None:
        """The store knows it no more."""
        self.live = False

    def idle(self, _: float, __: float) -> bool:
        """Whether nothing is held, nor was since the last time somebody looked."""
        unasked = self._looked == self.taken
        self._looked = self.taken
        return unasked and not self.used
