"""Control's side of the spool: carries records from the segments into the store, exactly once.

Oldest segment first, a batch at a time. The store moves the position of a segment together with the
records; what it answers is believed, whatever we remember. So a crash anywhere, a commit whose
answer was lost, or a second shipper on the same spool changes nothing but who does the work.

A store that is away is asked again, from 0.1 s to every 5 s. Records that it refuses are found by
halving the batch and go to the dead letters; the rest goes on. A segment is deleted when it is
finished and shipped whole, its position is forgotten a day later.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from proxy.base.clock import monotonic
from proxy.core.accounting import RecordsRefused, StoreAway, UsageStore
from proxy.usage.dead_letters import DeadLetters
from proxy.usage.holds_taken import awaits
from proxy.usage.segments import (
    Batch,
    Line,
    Segment,
    list_segments,
    read_batch,
    remove,
    sizes_of,
    spool_id,
)
from proxy.usage.ship_lag import Lag, Progress
from proxy.wire.record_reader import RecordReader

log = logging.getLogger("llm-proxy.shipper")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_FORGET_EVERY = 3600.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShipperOptions:
    """`batch`: most records in a transaction; `poll`: seconds between two looks at the spool;
    `progress`: seconds between two lines in the log while catching up."""

    batch: int = 2000
    poll: float = 0.2
    progress: float = 5.0


@dataclass(frozen=True, slots=True)
class ShipperState:
    """For /readyz and metrics. `reason`: why the store cannot be used, None when it can.
    `dead` counts letters of earlier times too, `bad` those of them that were no records."""

    reason: str | None
    shipped: int
    dead: int
    bad: int
    lag: Lag


class Shipper:
    """Ships one spool. `run` it as a task and cancel it, or `drain` once; not both at a time."""

    def __init__(
        self, folder: Path, store: UsageStore, options: ShipperOptions | None = None
    ) -> None:
        self._folder = folder
        self._store = store
        self._options = options if options is not None else ShipperOptions()
        self._dead = DeadLetters(folder)
        self._reader = RecordReader()
        self._progress = Progress()
        self._spool: str | None = None
        self._reason: str | None = None
        self._shipped = 0
        self._bad = 0
        self._told = monotonic()
        self._told_shipped = 0
        self._forgot = float("-inf")

    def behind(self) -> Lag:
        """How far the store is behind, as of the last look at the spool."""
        return self._progress.lag()

    def state(self) -> ShipperState:
        """What can be said about shipping now."""
        return ShipperState(
            self._reason, self._shipped, self._dead.count, self._bad, self._progress.lag()
        )

    async def run(self) -> None:
        """Ship for ever. What fails, a disk or a bug of ours, is told and tried again."""
        while True:
            try:
                await self._round()
            except Exception:
                log.exception("shipping failed; the records stay in the spool")
                await asyncio.sleep(_LONGEST_PAUSE)
            await asyncio.sleep(self._options.poll)

    async def drain(self) -> None:
        """Ship all that is in the spool now, and what is added meanwhile; wait for the store."""
        await self._round()
        while self._progress.lag().bytes:
            before = dict(self._progress.positions)
            await self._round()
            if self._progress.positions == before:
                return  # The rest is the last line of a segment that is being written.

    async def _round(self) -> None:
        segments = await self._look()
        for segment in segments:
            try:
                await self._ship_segment(segment)
            except FileNotFoundError:  # Another shipper was first.
                self._progress.positions.pop(segment.name, None)
        if monotonic() - self._forgot >= _FORGET_EVERY:
            self._forgot = monotonic()
            await self._forget()
        _ = await self._look(segments)

    async def _look(self, done: Sequence[Segment] = ()) -> list[Segment]:
        """What is in the spool. `done`: to be deleted where they are finished and shipped."""
        positions = self._progress.positions
        shipped = [(each, positions[each.name]) for each in done if each.name in positions]
        segments, sizes = await asyncio.to_thread(self._survey, shipped)
        self._progress.look(segments, sizes)
        return segments

    def _survey(
        self, shipped: Sequence[tuple[Segment, int]]
    ) -> tuple[list[Segment], dict[str, int]]:
        """In a thread, and at once: each way there and back costs control its turn on the core."""
        if self._spool is None:
            self._spool = spool_id(self._folder)
        _ = self._dead.take_stock()
        for segment, position in shipped:
            _ = self._remove(segment, position)
        segments = list_segments(self._folder)
        return segments, sizes_of(segments)

    async def _ship_segment(self, segment: Segment) -> None:
        positions = self._progress.positions
        position = positions.get(segment.name)
        if position is None:
            position = await self._insist(lambda: self._store.position(self._key(segment)))
            positions[segment.name] = position
        finished = False
        while self._progress.left(segment):
            batch = await asyncio.to_thread(
                read_batch, segment, position, self._options.batch, self._reader
            )
            if batch.next_offset == position:
                return  # A line that is being written.
            positions[segment.name] = position = await self._ship(segment, batch)
            finished = batch.finished
            await self._tell()
        # At once, not when all are shipped: a store that was away leaves many.
        if finished and await asyncio.to_thread(self._remove, segment, position):
            positions.pop(segment.name, None)

    def _remove(self, segment: Segment, position: int) -> bool:
        return not awaits(self._folder, segment) and remove(segment, position)

    async def _ship(self, segment: Segment, batch: Batch) -> int:
        for span in batch.bad:
            size = span.end - span.start
            log.error(
                "%s: %d bytes at %d are no record: %s", segment.name, size, span.start, span.reason
            )
            await self._bury(segment, span.start, span.end, span.reason, span.raw)
            self._bad += 1
        if batch.lines:
            size = batch.next_offset - batch.start
            self._progress.read(batch.lines[0].record, size, len(batch.lines))
        return await self._ship_lines(segment, batch.start, batch.next_offset, batch.lines)

    async def _ship_lines(
        self, segment: Segment, start: int, end: int, lines: Sequence[Line]
    ) -> int:
        """Ship the lines between two positions; return the position of the segment then."""
        records = [line.record for line in lines]
        try:
            now = await self._insist(
                lambda: self._store.ship(self._key(segment), start, end, records)
            )
        except RecordsRefused as error:
            if len(lines) > 1:
                return await self._ship_halves(segment, start, end, lines)
            if not lines:
                raise
            log.error("%s: the record at %d is refused: %s", segment.name, lines[0].start, error)  # noqa: TRY400
            await self._bury(segment, lines[0].start, lines[0].end, str(error), lines[0].raw)
            return await self._ship_lines(segment, start, end, ())
        if now == end:
            self._shipped += len(lines)
        return now

    async def _ship_halves(
        self, segment: Segment, start: int, end: int, lines: Sequence[Line]
    ) -> int:
        half = len(lines) // 2
        middle = lines[half].start
        now = await self._ship_lines(segment, start, middle, lines[:half])
        if now != middle:
            return now
        return await self._ship_lines(segment, middle, end, lines[half:])

    async def _bury(self, segment: Segment, start: int, end: int, reason: str, raw: bytes) -> None:
        await asyncio.to_thread(self._dead.add, segment.name, start, end, reason, raw)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask the store until it answers."""
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = await call()
            except StoreAway as error:
                if self._reason is None:
                    log.error("the store is away, records wait in the spool: %s", error)  # noqa: TRY400
                self._reason = str(error)
                _ = await self._look()
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                if self._reason is not None:
                    log.warning("the store is back; %d bytes to ship", self.behind().bytes)
                    self._reason = None
                return answer

    async def _forget(self) -> None:
        prefix = self._key_prefix()
        keep = [prefix + name for name in self._progress.names]
        await self._insist(lambda: self._store.forget(prefix, keep))

    async def _tell(self) -> None:
        passed = monotonic() - self._told
        if passed < self._options.progress:
            return
        _ = await self._look()
        rate = (self._shipped - self._told_shipped) / passed
        self._told, self._told_shipped = monotonic(), self._shipped
        lag = self.behind()
        if lag.seconds >= self._options.progress:
            log.info(
                "catching up: %d records/s, about %d records (%d bytes) to go",
                *(rate, lag.records, lag.bytes),
            )

    def _key(self, segment: Segment) -> str:
        return self._key_prefix() + segment.name

    def _key_prefix(self) -> str:
        assert self._spool is not None
        return f"{self._spool}/"
