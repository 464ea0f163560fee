"""The spool: where a worker leaves its usage records, one line each, before the answer is whole.

A line is in the worker's own segment when `append` returns (`segment_file.py` has the two ways of
writing); from then on it survives the death of any process. `fdatasync` once a `sync` interval
bounds what the death of the machine can take. Segments are
`<worker>-<milliseconds>-<pid>-<number>.seg`; the writer has a lock (`flock`) on the one it writes,
so that readers know a finished segment by its free lock.

When a line cannot be written (disk full), nothing of it is left in the segment or, failing that,
the segment is left behind with a torn last line; the line waits in memory, bounded, and is tried
again before every later one and once a second. `failing` tells the door to refuse requests where
the operator wants that; lines that no longer fit in memory are counted in `lost`.
"""

import asyncio
import errno
import fcntl
import logging
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.base.clock import monotonic, wall
from proxy.usage.segment_file import (
    MappedFile,
    PlainFile,
    Put,
    SegmentFile,
    filesystem_of,
    keeps_its_place,
)

log = logging.getLogger("llm-proxy.spool")

_WAITING_LINES: Final = 20_000
_WAITING_BYTES: Final = 32 * 1024 * 1024
_TURN: Final = 1.0
_CANNOT_MAP: Final = frozenset(
    (errno.EOPNOTSUPP, errno.ENODEV, errno.EINVAL, errno.ENOSYS, errno.EACCES)
)


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """`segment`: bytes, and `age`: seconds, after which a new segment is begun; `sync`: seconds
    between two `fdatasync`; `step`: bytes that are allocated ahead; `mapped`: whether to write
    through memory where the filesystem is fit for it."""

    sync: float = 1.0
    segment: int = 64 * 1024 * 1024
    age: float = 60.0
    step: int = 1024 * 1024
    mapped: bool = True


class Spool:
    """The writing side, used by one worker on its event loop."""

    def __init__(self, folder: Path, worker: str, options: SpoolOptions) -> None:
        self._folder = folder
        self._worker = worker
        self._options = options
        self._file: SegmentFile | None = None
        self._put: Put | None = None  # The file's own: the quick way in.
        self._finished: list[SegmentFile] = []  # They want to be settled before they are closed.
        self._mapped: bool | None = None  # Not known before the folder is there.
        self._begun = 0.0
        self._number = 0
        self._synced = 0  # Bytes of the present file.
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
        """Write a line (no NUL in it) now, or keep it for later if that cannot be. Never raises."""
        if self._put is not None and not self.failing:
            try:
                self._put(line)
            except ValueError:
                pass  # The window is full.
            else:
                self.written += 1
                return
        if (self._waiting and not self._catch_up()) or not self._write(line):
            self._keep(line)

    async def run(self) -> None:
        """Sync, rotate and try again, for ever. Cancel it, then `close`."""
        synced = monotonic()
        while True:
            await asyncio.sleep(min(_TURN, self._options.sync))
            self._catch_up()
            if self._size() and monotonic() - self._begun >= self._options.age:
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
            self._settle(self._finished.pop())

    def _write(self, line: bytes) -> bool:
        file = self._file
        try:
            while file is None or not file.write(line):
                file = self._begin()
        except OSError as error:
            if isinstance(file, PlainFile) and file.torn:
                self._finish()
            self._complain(error)
            return False
        self._put = file.put
        self.written += 1
        if self.failing:
            self.failing = False
            log.warning("the spool can be written again")
        return True

    def _size(self) -> int:
        return self._file.size if self._file is not None else 0

    def _begin(self) -> SegmentFile:
        self._finish()
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._mapped is None:
            self._mapped = self._may_map()
        descriptor = self._create()
        self._begun = monotonic()
        self._file = self._prepared(descriptor) if self._mapped else self._plain(descriptor)
        return self._file

    def _create(self) -> int:
        """The descriptor of a new segment, locked."""
        self._number += 1
        name = f"{self._worker}-{int(wall() * 1000):013d}-{os.getpid()}-{self._number:04d}.seg"
        path = self._folder / name
        unlocked = path.with_suffix(".new")  # Not a segment until it is locked.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(unlocked, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unlocked.rename(path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _plain(self, descriptor: int) -> SegmentFile:
        return PlainFile(descriptor, self._options.segment)

    def _prepared(self, descriptor: int) -> SegmentFile:
        file = MappedFile(descriptor, self._options.segment, self._options.step)
        self._file = file  # It stays when there is no room now: no new file for every line.
        try:
            file.prepare()
        except OSError as error:
            if error.errno not in _CANNOT_MAP:
                raise
            self._mapped = False
            log.warning("%s: records are written one by one: %s", self._folder, error.strerror)
            return self._plain(descriptor)
        return file

    def _may_map(self) -> bool:
        if not self._options.mapped:
            return False
        filesystem = filesystem_of(self._folder)
        if keeps_its_place(filesystem):
            return True
        log.info(
            "%s is on %s: records are written one by one, which is slower",
            *(self._folder, filesystem or "an unknown filesystem"),
        )
        return False

    def _finish(self) -> None:
        """Let go of the segment. Its lock is freed, so that it counts as finished, once settled."""
        if self._file is not None:
            self._file.finish()
            self._finished.append(self._file)
        self._file, self._put, self._synced = None, None, 0

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
            await asyncio.to_thread(self._settle, self._finished.pop())
        if self._file is not None and self._file.size != self._synced:
            self._synced = self._file.size
            # A copy: the segment may be finished while the disk works.
            await asyncio.to_thread(self._sync_and_close, os.dup(self._file.descriptor))

    def _settle(self, file: SegmentFile) -> None:
        try:
            file.settle()
        except OSError as error:
            self._complain(error)
        finally:
            os.close(file.descriptor)

    def _sync_and_close(self, descriptor: int) -> None:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            self._complain(error)
        finally:
            os.close(descriptor)
