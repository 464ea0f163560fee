"""Records whose spans wait to be exported: bounded by number and by bytes; the newest are dropped.

What a record takes is estimated: a fixed part, and its content where that is kept. Records of a lot
wait together.
"""

import asyncio
from collections import deque

from proxy.wire.lots import Lot
from proxy.wire.record import UsageRecord

_RECORD_BYTES = 2_048
_ATTEMPT_BYTES = 512
_OF_LOT_BYTES = 1024  # Has no content, no labels and one attempt.
_LARGEST_BATCH = 2 * 1024 * 1024
"""Collectors refuse gRPC messages beyond 4 MiB; told prompts stand in a batch up to four times."""


Waiting = UsageRecord | Lot


class SpanQueue:
    """First in, first out."""

    def __init__(self, *, records: int, bytes: int, batch: int) -> None:
        self._waiting: deque[tuple[Waiting, int, int]] = deque()
        self._most_records = records
        self._most_bytes = bytes
        self._batch = batch
        self._records = 0
        self._spans = 0
        self._enough = asyncio.Event()
        self._some = asyncio.Event()
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return self._records

    def put(self, record: Waiting) -> None:
        """Add a record or a lot, or count its spans as dropped."""
        records, spans, size = records_in(record), spans_in(record), _size(record)
        if self._records + records > self._most_records or self.bytes + size > self._most_bytes:
            self.dropped += spans
            return
        self._waiting.append((record, spans, size))
        self._records += records
        self.bytes += size
        self._spans += spans
        self._some.set()
        if self._spans >= self._batch or self.bytes >= _LARGEST_BATCH:
            self._enough.set()

    def hurry(self) -> None:
        """Let who waits for a batch have what there is."""
        self._some.set()
        self._enough.set()

    async def ready(self, patience: float) -> None:
        """Return when there is a full batch, or `patience` seconds after there was something."""
        await self._some.wait()
        try:
            async with asyncio.timeout(patience):
                await self._enough.wait()
        except TimeoutError:
            return

    def take(self) -> list[Waiting]:
        """The next batch; at least one, if any waits."""
        batch: list[Waiting] = []
        spans = size = 0
        while self._waiting:
            record, more_spans, more = self._waiting[0]
            if batch and (spans + more_spans > self._batch or 2 * (size + more) > _LARGEST_BATCH):
                break
            self._waiting.popleft()
            batch.append(record)
            self._records -= records_in(record)
            spans += more_spans
            size += more
        self.bytes -= size
        self._spans -= spans
        if not self._waiting:
            self._some.clear()
        if self._spans < self._batch and self.bytes < _LARGEST_BATCH:
            self._enough.clear()
        return batch


def records_in(waiting: Waiting) -> int:
    """How many records that is."""
    return len(waiting) if isinstance(waiting, Lot) else 1


def spans_in(waiting: Waiting) -> int:
    """How many spans they have: one each, and one for each attempt."""
    return 2 * len(waiting) if isinstance(waiting, Lot) else 1 + len(waiting.attempts)


def _size(waiting: Waiting) -> int:
    if isinstance(waiting, Lot):
        return len(waiting) * _OF_LOT_BYTES
    size = _RECORD_BYTES + _ATTEMPT_BYTES * len(waiting.attempts)
    content = waiting.content
    if content is not None:
        size += len(content.input or "") + len(content.output or "")
    return size
