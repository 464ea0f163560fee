"""The file in which one worker keeps its open holds: slots that are filled and cleared in place.

`holds/<worker>-<milliseconds>-<pid>.holds`, locked (`flock`) while its worker lives. A slot is
1 KiB, or a few of them side by side for a long line; it is free while its first byte is NUL. Room
is allocated in steps before it is mapped, as for segments (segment_file.py), so that filling a slot
is a copy in memory and clearing it one byte; where mapping is not safe each is one `pwrite`.

A line that was torn by a kill fails its checksum, and counts as never written: what it tells of had
not been sent. Places never overlap, so nothing old can pass for a line. When there is no room, now
or for good (`most`), a hold goes unkept; that is told once.
"""

import fcntl
import logging
import os
from mmap import mmap
from pathlib import Path
from typing import Final

from proxy.base.clock import monotonic, wall
from proxy.usage.segment_file import filesystem_of, keeps_its_place

log = logging.getLogger("llm-proxy.holds")

SLOT: Final = 1024
SUFFIX: Final = ".holds"
WIDEST: Final = 16
"""Slots of the longest line."""

_STEP: Final = 64 * SLOT
_LARGEST_STEP: Final = 1024 * SLOT
_MOST: Final = 64 * 1024 * SLOT
_AGAIN: Final = 1.0


class Place:
    """Where one line can be: in memory that the file is mapped to, or in the file."""

    __slots__ = ("descriptor", "home", "start", "window")

    def __init__(
        self, window: mmap | None, descriptor: int, start: int, home: "list[Place]"
    ) -> None:
        self.window = window
        self.descriptor = descriptor
        self.start = start  # In the window, or in the file.
        self.home = home  # Where it waits while it is free.

    def write(self, line: bytes) -> None:
        """Put a line into the file. Raises OSError."""
        if os.pwrite(self.descriptor, line, self.start) < len(line):
            self.erase()
            raise OSError("no room for a whole line")

    def erase(self) -> None:
        """Make it free in the file. Raises OSError."""
        os.pwrite(self.descriptor, b"\0", self.start)


class HoldsFile:
    """The writing side, used by one worker on its event loop."""

    def __init__(
        self, folder: Path, worker: str, *, mapped: bool = True, most: int = _MOST
    ) -> None:
        """`most`: bytes that the file may have."""
        self.path: Path | None = None
        self._folder = folder
        self._worker = worker
        self._mapped = mapped
        self._most = most
        self._descriptor: int | None = None
        self._windows: list[mmap] = []
        self._begin = 0  # Of the window in the file.
        self._end = 0  # Of what was given out or is mapped.
        self._next = 0  # The first byte that was never given out.
        self._given = 0  # Places.
        self._free: list[list[Place]] = [[] for _ in range(WIDEST + 1)]
        self._failed = float("-inf")
        self._complained = False

    def open(self) -> None:
        """Make the file, off the loop, with room for the first holds."""
        try:
            self._create()
            # Why it may not be mapped was told by the spool, on the same filesystem.
            self._mapped = self._mapped and keeps_its_place(filesystem_of(self._folder))
            if self._mapped:
                self._map()
        except OSError as error:
            self._complain(error)

    def put(self, line: bytes) -> Place | None:
        """Keep a line; None where that cannot be."""
        size = len(line)
        width = 1 if size <= SLOT else -(-size // SLOT)
        if width > WIDEST:
            self._complain(f"a line of {size} bytes")
            return None
        free = self._free[width]
        try:
            place = free.pop() if free else self._more(width)
            if place is None:
                return None
            if (window := place.window) is not None:
                start = place.start
                window[start : start + size] = line
            else:
                place.write(line)
        except OSError as error:
            self._failed = monotonic()
            self._complain(error)
            return None
        return place

    def free(self, place: Place) -> None:
        """Clear a place that was filled."""
        if (window := place.window) is not None:
            window[place.start] = 0
        else:
            try:
                place.erase()
            except OSError as error:  # It is not used again: its line is still there.
                self._complain(error)
                return
        place.home.append(place)

    def close(self) -> None:
        """Let go of the file; it goes with its last line."""
        if self._descriptor is None:
            return
        if not self.in_use() and self.path is not None:
            self.path.unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Close it as it is, as the end of the process does: its lock is free."""
        while self._windows:
            self._windows.pop().close()  # Each has the descriptor too.
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def in_use(self) -> int:
        """How many places are filled."""
        return self._given - sum(map(len, self._free))

    def _more(self, width: int) -> Place | None:
        """A place that was never used."""
        if monotonic() - self._failed < _AGAIN:
            return None
        descriptor = self._descriptor
        if descriptor is None:
            descriptor = self._create()
        size = width * SLOT
        if self._next + size > self._most:
            self._complain(f"all {self._most} bytes are used")
            return None
        if not self._mapped:
            start = self._next
            self._next += size
            self._given += 1
            return Place(None, descriptor, start, self._free[width])
        if self._next + size > self._end:
            self._map()
        start = self._next - self._begin
        place = Place(self._windows[-1], descriptor, start, self._free[width])
        self._next += size
        self._given += 1
        return place

    def _create(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        begun = int(wall() * 1000)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while True:
            path = self._folder / f"{self._worker}-{begun:013d}-{os.getpid()}{SUFFIX}"
            if not path.exists():  # None but this process makes one of its name.
                break
            begun += 1
        unlocked = path.with_suffix(".new")  # Nobody takes it before it is locked.
        descriptor = os.open(unlocked, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unlocked.rename(path)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self.path = descriptor, path
        return descriptor

    def _map(self) -> None:
        """Allocate and map the next step. What is left of the one before stays unused: only a long
        line finds it too small."""
        assert self._descriptor is not None  # There is a file.
        step = min(max(_STEP, self._end), _LARGEST_STEP)
        os.posix_fallocate(self._descriptor, self._end, step)
        self._windows.append(mmap(self._descriptor, step, offset=self._end))
        self._begin = self._next = self._end
        self._end += step

    def _complain(self, why: OSError | str) -> None:
        if not self._complained:
            self._complained = True
            reason = (why.strerror or why) if isinstance(why, OSError) else why
            log.error("%s: a hold of money outlives no kill now: %s", self._folder, reason)
