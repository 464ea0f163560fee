"""Keeps each hold of money in the worker's file while its request is in flight.

Before an attempt is sent its hold is a line in a slot; when the request has its record, or the hold
was given back, the slot is cleared. A hold that grows is written to another slot first: of two
lines of one attempt the larger counts, so that a kill in between loses nothing.

The first line fixes the time of the request's record, which is half of its key in the store.
"""

from typing import Final, Protocol

from msgspec.structs import replace

from proxy.base.clock import monotonic, wall
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.labels import NO_LABELS
from proxy.usage.holds_file import HoldsFile, Place
from proxy.usage.holds_head import HoldHead, Members
from proxy.usage.lines import Kind, kind_of, standing_of
from proxy.usage.recording import MICRO, Identity
from proxy.usage.said import said

_KEPT: Final = 1024


class Slots(Protocol):
    """A HoldsFile, as a hold that was kept needs it."""

    def put(self, line: bytes) -> Place | None: ...
    def free(self, place: Place) -> None: ...


class _Kept:
    """A KeptHold."""

    __slots__ = ("file", "head", "held", "place", "said")

    def __init__(
        self, file: Slots, head: HoldHead, held: Members, said: bytes, place: Place | None
    ) -> None:
        self.file = file
        self.head = head
        self.held = held
        self.said = said
        self.place = place

    def grew(self, money: int, output: int) -> None:
        old, held = self.place, self.held
        if old is None:
            return
        self.held = (*held[:4], money, held[5], output)
        place = self.file.put(self.head.line(self.held, self.said))
        if place is not None:
            self.place = place
            self.file.free(old)

    def clear(self) -> None:
        place = self.place
        if place is not None:
            self.place = None
            self.file.free(place)


class SlotBook:
    """The HoldBook of a runtime."""

    __slots__ = ("_discreet", "_file", "_heads", "_identity", "_prices")

    def __init__(
        self, file: HoldsFile, identity: Identity, prices: str, *, discreet: bool = False
    ) -> None:
        """`prices`: their version. `discreet`: without what requests say of themselves."""
        self._file = file
        self._identity = identity
        self._prices = prices
        self._discreet = discreet
        self._heads: dict[Kind, HoldHead] = {}

    def keep(self, x: Exchange, attempt: Attempt, money: int, input: int, output: int) -> _Kept:
        """See HoldBook."""
        received = x.received
        if not x.at:
            x.at = int((wall() - (monotonic() - received)) * MICRO)
        kind = kind_of(x, attempt)
        attempt.kind = head = self._heads.get(kind) or self._begin(kind, x, attempt)
        attempt.said = told = said(x, attempt, NO_LABELS if self._discreet else x.labels)
        started = int((attempt.started - received) * MICRO)
        held: Members = x.id, x.at, len(x.attempts) + 1, started, money, input, output
        file = self._file
        return _Kept(file, head, held, told, file.put(head.line(held, told)))

    def _begin(self, kind: Kind, x: Exchange, attempt: Attempt) -> HoldHead:
        if len(self._heads) >= _KEPT:
            self._heads.clear()
        standing = standing_of(x, attempt, self._identity, self._prices)
        if self._discreet:
            standing = replace(standing, model=standing.route)
        head = self._heads[kind] = HoldHead(standing)
        return head
