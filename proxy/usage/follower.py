"""Reads every record soon after it was written, for metrics, traces and the access log.

Beside the shipper and independent of it: these go on while the store is away. A segment is opened
when it is first seen and stays open until its end was read, so that one the shipper removes
meanwhile is read to its end all the same.

At most once: how far it came is on the file system before the records are told, so that control,
killed at any moment, tells none twice; the batch at hand may go untold, as would what the exporter
had in memory. Where the positions cannot be read (a damaged disk) what is in the spool counts as
told. Accounting is never touched: that is the shipper's, and exact.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from proxy.base.clock import monotonic
from proxy.base.jsonio import JSONError, dumps, loads
from proxy.usage.segments import list_segments
from proxy.wire.record import BadLine
from proxy.wire.record_reader import RecordReader, Told

log = logging.getLogger("llm-proxy.follower")

_POLL = 0.2
_PIECE = 1024 * 1024
_LONGEST_LINE = 64 * 1024 * 1024
_PIECES_A_TURN = 4
_LINES_AT_ONCE = 128
"""Two milliseconds of work. Much more is done where a worker leaves control little of a core: what
else control does must not wait for that, least of all to see that it is behind."""


@dataclass(slots=True)
class _Open:
    """One segment that is being read. `position`: all before it was taken."""

    descriptor: int
    position: int
    piece: int  # More while a line is longer than that.


@dataclass(frozen=True, slots=True)
class _Read:
    """What is to be taken of a segment now. `piece`: how much to read the next time."""

    lines: Sequence[bytes]
    end: int
    piece: int
    level: bool  # There was no more.


@dataclass(frozen=True, slots=True)
class _Taken:
    """A piece of each segment, by name. Its lines count as told."""

    at: float
    reads: Mapping[str, _Read]
    gone: Set[str]  # Had been deleted before that was read: nothing comes after it.


class Follower:
    """Follows one spool; `tell` is called with some records at a time, on the loop."""

    def __init__(self, folder: Path, state: Path, tell: Callable[[Sequence[Told]], None]) -> None:
        self._folder = folder
        self._state = state
        self._tell = tell
        self._reader = RecordReader()
        self._open: dict[str, _Open] = {}
        self._known: Mapping[str, int] | None = None
        self._taking: asyncio.Task[_Taken] | None = None
        self._silent = False  # Until all that counts as told was passed over.
        self._trouble: str | None = None
        self._telling_fails = False
        self._level = monotonic()

    @property
    def late(self) -> float:
        """Seconds since all that was there had been told: no record that waits is older."""
        return monotonic() - self._level

    async def run(self) -> None:
        """Follow for ever. Cancel it, then `look` once more and `close`."""
        while True:
            await self.look()
            await asyncio.sleep(_POLL)

    async def look(self) -> None:
        """Tell of what was written since the last look; what cannot be read is tried again."""
        try:
            await self._look()
        except OSError as error:
            if self._trouble != str(error):
                log.warning("the spool cannot be followed: %s", error)
            self._trouble = str(error)
        else:
            self._trouble = None

    async def _look(self) -> None:
        turns = 0
        while await self._turn():
            turns += 1
            if turns >= _PIECES_A_TURN and not self._silent:
                break
        self._silent = False

    def close(self) -> None:
        """Let go of the files."""
        while self._open:
            os.close(self._open.popitem()[1].descriptor)

    async def _turn(self) -> bool:
        """Take a piece of each segment, and tell it; whether there is more."""
        if self._taking is None:
            taking = asyncio.to_thread(self._take)
            self._taking = asyncio.get_running_loop().create_task(taking, name="follower's thread")
        await asyncio.wait((self._taking,))  # Cancelled here, the next look tells what was taken.
        done, self._taking = self._taking, None
        taken = done.result()
        lines: list[bytes] = []
        for name, read in taken.reads.items():
            segment = self._open[name]
            segment.position, segment.piece = read.end, read.piece
            lines += read.lines
            if read.level and name in taken.gone:
                os.close(self._open.pop(name).descriptor)
        waiting = () if self._silent else lines
        told = 0
        try:
            while told < len(waiting):
                now, told = told, told + _LINES_AT_ONCE
                self._hand_over(waiting[now:told])
                await asyncio.sleep(0)
        finally:  # Also when cancelled: they count as told from now on.
            self._hand_over(waiting[told:])
        level = all(read.level for read in taken.reads.values())
        if level:
            self._level = taken.at
        return not level

    def _hand_over(self, lines: Sequence[bytes]) -> None:
        found: list[Told] = []
        for line in lines:
            try:
                found.append(self._reader.told(line))
            except BadLine as error:
                log.warning("a line of the spool is no record: %s", error)
        if not found:
            return
        try:
            self._tell(found)
        except Exception:
            if not self._telling_fails:
                log.exception("%d records cannot be told", len(found))
            self._telling_fails = True
        else:
            self._telling_fails = False

    def _take(self) -> _Taken:
        """Everything that touches the disk, in a thread, at once: each way there and back costs
        control its turn on the core."""
        at = monotonic()
        if self._known is None:
            known = self._restore()
            self._known, self._silent = known or {}, known is None
        gone = self._open_new(self._known)
        reads = {name: _read(segment) for name, segment in self._open.items()}
        if any(read.lines for read in reads.values()):
            self._save({name: read.end for name, read in reads.items()})
        return _Taken(at, reads, gone)

    def _open_new(self, known: Mapping[str, int]) -> Set[str]:
        """Open segments that are new; return the names of those that exist no more."""
        segments = {segment.name: segment.path for segment in list_segments(self._folder)}
        for name, path in segments.items():
            if name not in self._open:
                try:
                    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:
                    continue  # The shipper was done with it before we came.
                self._open[name] = _Open(descriptor, known.get(name, 0), _PIECE)
        return self._open.keys() - segments.keys()

    def _restore(self) -> dict[str, int] | None:
        """The positions; none at the first start, None when they cannot be read."""
        try:
            known = loads(self._state.read_bytes())
            if all(type(place) is int and place >= 0 for place in known.values()):
                return dict(known)
            log.error("%s holds no positions; what is in the spool counts as told", self._state)
        except FileNotFoundError:
            return {}
        except (OSError, JSONError, AttributeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is damaged"
            log.error(  # noqa: TRY400 - a stack says no more than this.
                "%s cannot be read (%s); what is in the spool counts as told", self._state, reason
            )
        return None

    def _save(self, positions: Mapping[str, int]) -> None:
        try:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            partial = self._state.with_suffix(".new")
            partial.write_bytes(dumps(positions))
            partial.replace(self._state)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._state, error.strerror or error)


def _read(segment: _Open) -> _Read:
    """The whole lines that follow, as many as fit in a piece.

    Bytes that are not written yet may be there as NUL; so a last line with such a byte in it is one
    that is just being written.
    """
    data = os.pread(segment.descriptor, segment.piece, segment.position)
    end = data.rfind(b"\n") + 1
    begin = data.rfind(b"\n", 0, max(0, end - 1)) + 1
    if data.find(b"\0", begin, end) >= 0:
        end = begin
    is_last = len(data) < segment.piece or data.find(b"\0", end) >= 0
    if end:
        lines = data[: end - 1].split(b"\n")
        return _Read(lines, segment.position + end, _PIECE, is_last)
    if is_last:
        return _Read((), segment.position, segment.piece, is_last)
    if segment.piece < _LONGEST_LINE:
        return _Read((), segment.position, segment.piece * 4, is_last)
    return _Read((), segment.position + len(data), _PIECE, is_last)  # No record is as long as that.
