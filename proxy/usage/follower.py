"""Reads every record soon after it was written, for metrics, traces and the access log.

Beside the shipper and independent of it: these go on while the store is away. A segment is opened
when it is first seen and stays open until its end was read, so that one the shipper removes
meanwhile is read to its end all the same. Positions are kept in a file, written about once a
second: after a crash of control at most the records of that second are told twice; accounting is
never touched.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from proxy.base.jsonio import JSONError, dumps, loads
from proxy.usage.segments import list_segments
from proxy.wire.record import BadLine, UsageRecord, record_of

log = logging.getLogger("llm-proxy.follower")

_POLL = 0.2
_SAVE = 1.0
_PIECE = 1024 * 1024
_PIECES_A_TURN = 4


class _Open:
    """One segment that is being read."""

    __slots__ = ("descriptor", "position", "rest")

    def __init__(self, descriptor: int, position: int) -> None:
        self.descriptor = descriptor
        self.position = position
        self.rest = b""  # A line that is not whole yet.


class Follower:
    """Follows one spool; `tell` is called with each record, on the loop."""

    def __init__(self, folder: Path, state: Path, tell: Callable[[UsageRecord], None]) -> None:
        self._folder = folder
        self._state = state
        self._tell = tell
        self._open: dict[str, _Open] = {}
        self._known: dict[str, int] = {}
        self._saved: dict[str, int] = {}

    async def run(self) -> None:
        """Follow for ever. Cancel it, then `close`."""
        self._known = await asyncio.to_thread(self._restore)
        turns = 0
        while True:
            await self.look()
            turns += 1
            if turns * _POLL >= _SAVE:
                turns = 0
                await asyncio.to_thread(self._save)
            await asyncio.sleep(_POLL)

    async def look(self) -> None:
        """Tell of what was written since the last look."""
        gone = await asyncio.to_thread(self._open_new)
        for name, segment in list(self._open.items()):
            data = b""
            for _ in range(_PIECES_A_TURN):
                data = await asyncio.to_thread(
                    os.pread, segment.descriptor, _PIECE, segment.position + len(segment.rest)
                )
                self._take(segment, data)
                if len(data) < _PIECE:
                    break
            if name in gone and not data:
                os.close(self._open.pop(name).descriptor)

    def close(self) -> None:
        """Note how far it came, and let go of the files."""
        self._save()
        while self._open:
            os.close(self._open.popitem()[1].descriptor)

    def _open_new(self) -> set[str]:
        """Open segments that are new; return the names of those that exist no more."""
        segments = {segment.name: segment.path for segment in list_segments(self._folder)}
        for name, path in segments.items():
            if name not in self._open:
                try:
                    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:
                    continue  # The shipper was done with it before we came.
                self._open[name] = _Open(descriptor, self._known.get(name, 0))
        return self._open.keys() - segments.keys()

    def _take(self, segment: _Open, data: bytes) -> None:
        whole, end, rest = (segment.rest + data).rpartition(b"\n")
        segment.position += len(whole) + len(end)
        segment.rest = rest
        for line in whole.split(b"\n") if end else ():
            try:
                self._tell(record_of(line))
            except BadLine as error:
                log.warning("a line of the spool is no record: %s", error)

    def _restore(self) -> dict[str, int]:
        try:
            known = loads(self._state.read_bytes())
        except (OSError, JSONError):
            return {}  # The first start, or a file that was lost: the spool is told from its begin.
        return {str(name): int(place) for name, place in known.items()}

    def _save(self) -> None:
        positions = {name: segment.position for name, segment in self._open.items()}
        if positions == self._saved:
            return
        try:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            partial = self._state.with_suffix(".new")
            partial.write_bytes(dumps(positions))
            partial.replace(self._state)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._state, error)
        else:
            self._saved = positions
