"""Where the spool, the stores and whoever reads them meet: keeping usage records, and reports.

A segment is known to a store by a name that is unique over all spools that share the store. How far
it was shipped is kept by the store, with the records: a position that only this process remembers
is a guess, and `ship` says where the truth is.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from proxy.wire.record_reader import Told

WORKER_DIED = "worker_died"
"""The `error` of a record that was made of what a dead worker held, as its request had none."""


class StoreAway(Exception):
    """The store cannot be used now. Whether the last call had its effect is unknown; asking again
    with the same arguments is always right."""


class RecordsRefused(Exception):
    """The store will never take these records, or one of them. Nothing of the call had effect."""


class UsageStore(Protocol):
    """Keeps records exactly once."""

    async def position(self, segment: str) -> int:
        """How far the segment was shipped. Raises StoreAway."""

    async def ship(self, segment: str, start: int, end: int, records: Sequence[Told]) -> int:
        """Keep the records that lie between two positions of a segment, and that it was shipped to
        `end`, both or neither. Return how far it is shipped now: `end`, or another position when
        `start` was not it, and then nothing was kept. Raises StoreAway, RecordsRefused.
        """

    async def forget(self, spool: str, keep: Collection[str]) -> None:
        """Drop the positions of a spool's segments but those to keep and those that moved lately.
        `spool` is what the names of its segments begin with. Raises StoreAway."""

    async def close(self) -> None:
        """Let go of the store. It can be used again."""


Dimension = Literal[
    "model", "team", "key", "user", "project", "tag", "provider", "operation", "hour", "day"
]
"""What usage is counted by. `model` is the vendor's name, or the route's where none was called."""

Group = tuple[str | datetime, ...]
"""One value for each dimension of a query; '' where a name is not known."""


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What a report tells. Usage is counted by the hour: `since` and `until` are whole hours (UTC),
    `until` is not part of it, None is no end. `where`: what a dimension must be one of. At most one
    tag: a request may have several, and counts once."""

    by: tuple[Dimension, ...]
    since: datetime
    until: datetime | None = None
    where: tuple[tuple[Dimension, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums. Outcomes add up to `requests` and count where the answer came from; tokens and cost
    count where each attempt was made."""

    requests: int = 0
    completed: int = 0
    failed: int = 0
    refused: int = 0
    cut: int = 0
    gone: int = 0
    cached: int = 0  # Answered from the cache.
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_read_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0  # Nano-USD.


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One line of a report."""

    group: Group
    figures: Figures


@dataclass(frozen=True, slots=True)
class UsagePage:
    """Some rows. `more`: others follow. `totals`: of the whole report, with its first page only;
    a request with several tags counts once in it."""

    rows: tuple[UsageRow, ...]
    more: bool
    totals: Figures | None


class Reports(Protocol):
    """Answers queries from what was counted, however many records there are."""

    async def page(self, query: UsageQuery, limit: int, after: Group | None) -> UsagePage:
        """The first rows in the order of their groups, or those that follow a group.
        Raises StoreAway."""
