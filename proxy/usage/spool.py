"""The spool: where a worker leaves its usage records, one line each, before the answer is whole.

A line is written with one `write` to the worker's own segment; once that call has returned, the
record survives the death of any process. `fdatasync` once a `sync` interval bounds what the death
of the machine can take. Segments are `<worker>-<milliseconds>-<pid>-<number>.seg`; the writer has a
lock (`flock`) on the one it writes, so that readers know a finished segment by its free lock.

When a line cannot be written (disk full), it is cut off again or, failing that, the segment is left
behind with a torn last line; the line waits in memory, bounded, and is tried again before every
later one and once a second. `failing` tells the door to refuse requests where the operator wants
that; lines that no longer fit in memory are counted in `lost`.
"""

import asyncio
import fcntl
import logging
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from proxy.base.clock import monotonic, wall

log = logging.getLogger("llm-proxy.spool")

_WAITING_LINES = 20_000
_WAITING_BYTES = 32 * 1024 * 1024
_TURN = 1.0


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """`segment`: bytes, and `age`: seconds, after which a new segment is begun; `sync`: seconds
    between two `fdatasync`."""

    sync: float = 1.0
    segment: int = 64 * 1024 * 1024
    age: float = 60.0


class Spool:
    """The writing side, used by one worker on its event loop."""

    def __init__(self, folder: Path, worker: str, options: SpoolOptions) -> None:
        self._folder = folder
        self._worker = worker
        self._options = options
        self._descriptor = -1
        self._finished: list[int] = []  # Descriptors that want a last sync before they are closed.
        self._size = 0
        self._begun = 0.0
        self._number = 0
        self._dirty = False
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self.failing = False
        self.lost = 0
        self.written = 0

    def open(self) -> None:
        """Begin the first segment, off the loop: says at once whether the spool can be written."""
        try:
            self._begin()
        except OSError as error:
            self._complain(error)

    @property
    def waiting(self) -> int:
        """Records that could not be written yet."""
        return len(self._waiting)

    def append(self, line: bytes) -> None:
        """Write a line now, or keep it for later if that cannot be. Never raises."""
        if (self._waiting and not self._catch_up()) or not self._write(line):
            self._keep(line)

    async def run(self) -> None:
        """Sync, rotate and try again, for ever. Cancel it, then `close`."""
        synced = monotonic()
        while True:
            await asyncio.sleep(min(_TURN, self._options.sync))
            self._catch_up()
            if self._size and monotonic() - self._begun >= self._options.age:
                self._finish()
            if monotonic() - synced >= self._options.sync:
                synced = monotonic()
                await self._sync()

    def close(self) -> None:
        """Write what waits, sync, and give the segment free."""
        if not self._catch_up():
            log.error("%d usage records could not be written and are lost", len(self._waiting))
            self.lost += len(self._waiting)
        self._finish()
        while self._finished:
            self._sync_and_close(self._finished.pop())

    def _write(self, line: bytes) -> bool:
        try:
            if self._descriptor < 0 or self._size + len(line) > self._options.segment:
                self._begin()
            written = os.write(self._descriptor, line)
        except OSError as error:
            self._complain(error)
            return False
        if written < len(line):
            self._take_back()
            self._complain(OSError("no room for a whole record"))
            return False
        self._size += written
        self.written += 1
        self._dirty = True
        if self.failing:
            self.failing = False
            log.warning("the spool can be written again")
        return True

    def _take_back(self) -> None:
        """Cut off half a line; where even that fails, leave the segment as it is."""
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._finish()

    def _begin(self) -> None:
        self._finish()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        name = f"{self._worker}-{int(wall() * 1000):013d}-{os.getpid()}-{self._number:04d}.seg"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        path = self._folder / name
        unlocked = path.with_suffix(".new")  # Not a segment until it is locked.
        descriptor = os.open(unlocked, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unlocked.rename(path)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._size, self._begun = descriptor, 0, monotonic()

    def _finish(self) -> None:
        """Let go of the segment. Its lock is freed, so that it counts as finished, once synced."""
        if self._descriptor >= 0:
            self._finished.append(self._descriptor)
        self._descriptor, self._size, self._dirty = -1, 0, False

    def _catch_up(self) -> bool:
        """Write what waits, oldest first. Returns whether nothing waits any more."""
        while self._waiting:
            if not self._write(self._waiting[0]):
                return False
            self._waiting_bytes -= len(self._waiting.popleft())
        return True

    def _keep(self, line: bytes) -> None:
        full = self._waiting_bytes + len(line) > _WAITING_BYTES
        if full or len(self._waiting) >= _WAITING_LINES:
            self.lost += 1
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)

    def _complain(self, error: OSError) -> None:
        if not self.failing:
            self.failing = True
            log.error("the spool %s cannot be written: %s", self._folder, error.strerror or error)

    async def _sync(self) -> None:
        while self._finished:
            await asyncio.to_thread(self._sync_and_close, self._finished.pop())
        if self._dirty:
            self._dirty = False
            # A copy: the segment may be finished while the disk works.
            await asyncio.to_thread(self._sync_and_close, os.dup(self._descriptor))

    def _sync_and_close(self, descriptor: int) -> None:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            self._complain(error)
        finally:
            os.close(descriptor)
