"""One segment as its writer sees it: a file to which whole lines are added, or nothing.

Two ways. `MappedFile` has room allocated ahead, in steps, and maps it: adding a line is a copy in
memory, without a system call, and survives the death of the process as any write does. No line ends
in a hole, so no write to the mapping can fail (SIGBUS): a full disk shows when room is asked for.
What is allocated and not written yet is NUL, which is in no line: readers stop there, and a line
without NUL up to its break is whole. `PlainFile` makes one `write` per line.

The file's descriptor holds the writer's lock. `finish` lets go of the mapping at once; `settle`,
which may take long, cuts off what was not used.
"""

import os
from collections.abc import Callable
from mmap import ALLOCATIONGRANULARITY, mmap
from pathlib import Path
from typing import Protocol

_KEEP_THEIR_PLACE = frozenset(("ext4", "xfs", "tmpfs"))
"""Filesystems that write in place, so that room that was allocated is there for sure. Those
that copy on write allocate anew at each write; a full disk would end the process."""

Put = Callable[[bytes], object]


class SegmentFile(Protocol):
    """A segment that is being written. `put`, where it is not None, is a quicker `write` that
    raises ValueError, and adds nothing, when that has to do more than add a line."""

    descriptor: int
    put: Put | None

    @property
    def size(self) -> int:
        """Bytes in lines."""

    def prepare(self) -> None:
        """Make room for the first line. Raises OSError."""

    def write(self, line: bytes) -> bool:
        """Add a line; false, and nothing was added, when it would pass the limit. Raises OSError:
        then nothing was added either, unless the file is `torn`."""

    def finish(self) -> None:
        """Nothing will be written any more. Quick; `settle` and closing the descriptor follow."""

    def settle(self) -> None:
        """Give back what was not used, and reach the disk. May take long. Raises OSError."""


class PlainFile:
    """One `write` per line."""

    __slots__ = ("_limit", "descriptor", "put", "size", "torn")

    def __init__(self, descriptor: int, limit: int) -> None:
        self.descriptor = descriptor
        self.put: Put | None = None
        self.size = 0
        self.torn = False  # Half a line is at the end and cannot be taken back.
        self._limit = limit

    def prepare(self) -> None:
        """What there is no room for shows when it is written."""

    def write(self, line: bytes) -> bool:
        if self.torn or (self.size and self.size + len(line) > self._limit):
            return False
        written = os.pwrite(self.descriptor, line, self.size)
        if written < len(line):
            self.torn = True
            os.ftruncate(self.descriptor, self.size)
            self.torn = False
            raise OSError("no room for a whole record")
        self.size += written
        return True

    def finish(self) -> None:
        """There is nothing to let go of."""

    def settle(self) -> None:
        os.fdatasync(self.descriptor)


class MappedFile:
    """Lines are copied into memory that the file is mapped to, a window at a time."""

    __slots__ = ("_limit", "_size", "_start", "_step", "_window", "descriptor", "put")

    def __init__(self, descriptor: int, limit: int, step: int) -> None:
        self.descriptor = descriptor
        self.put: Put | None = None
        self._limit = limit
        self._step = step
        self._start = 0  # Of the window in the file; without a window, the size.
        self._window: mmap | None = None

    @property
    def size(self) -> int:
        return self._start if self._window is None else self._start + self._window.tell()

    def prepare(self) -> None:
        if self._window is None:
            self._move(1)

    def write(self, line: bytes) -> bool:
        if not self._fits(len(line)):
            if self.size and self.size + len(line) > self._limit:
                return False
            self._move(len(line))
        assert self._window is not None  # `_move` made one.
        self._window.write(line)
        return True

    def finish(self) -> None:
        size = self.size
        if self._window is not None:
            self._window.close()
        self._start, self._window, self.put = size, None, None

    def settle(self) -> None:
        os.ftruncate(self.descriptor, self._start)
        os.fdatasync(self.descriptor)

    def _fits(self, length: int) -> bool:
        return self._window is not None and self._window.tell() + length <= len(self._window)

    def _move(self, need: int) -> None:
        """Put the window where the next line goes."""
        size = self.size
        start = size - size % ALLOCATIONGRANULARITY
        end = max(min(start + self._step, self._limit), size + need)
        os.posix_fallocate(self.descriptor, start, end - start)
        window = mmap(self.descriptor, end - start, offset=start)
        window.seek(size - start)
        if self._window is not None:
            self._window.close()
        self._start, self._window, self.put = start, window, window.write


def filesystem_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the filesystem that a folder is on; empty when that cannot be told."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        rows = [line.split() for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    # Behind a number of optional fields come a dash and the type (proc_pid_mountinfo(5)).
    found = [row[row.index("-") + 1] for row in rows if row[2] == wanted]
    return found[-1] if found else ""


def keeps_its_place(filesystem: str) -> bool:
    """Whether allocated room on it is there for sure, so that it may be mapped."""
    return filesystem in _KEEP_THEIR_PLACE
