"""Takes over what dead workers held: their open holds become records, each exactly one.

A worker is dead when the lock on its file is free. Its open holds are written as one finished
segment, named after it, and then its file is removed. Whoever is killed in between leaves the file,
and the next one finds the segment there, whole, or makes the same again: while the file is there no
segment of its process is deleted (`awaits`). Several that want to take wait for each other.

Killed between writing a record and clearing its slot, a worker leaves both. That record is the last
line it ever wrote, so the end of its last segment tells which slot to pass over; where that line is
gone (the machine itself died) the two have the same key in the store.
"""

import fcntl
import glob
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from proxy.base.clock import monotonic
from proxy.usage.holds_file import SLOT, SUFFIX, WIDEST
from proxy.usage.holds_line import HoldLine, hold_of
from proxy.usage.holds_record import records_of
from proxy.usage.segments import Segment, list_segments, read_batch, sizes_of
from proxy.wire.record import BadLine, line_of

log = logging.getLogger("llm-proxy.holds")

_LOCK = "taking.lock"
_TAIL = 64 * 1024
_LONGEST_TAIL = 4 * 1024 * 1024  # Longer than any record.
_STILL_DYING = 0.5  # Seconds: a process that is killed lets go of its locks one after the other.
_TURN = 0.01


class Owner(NamedTuple):
    """A process that is a worker."""

    worker: str
    pid: int


def holds_beside(spool: Path) -> Path:
    """Where the workers that write to a spool keep their holds."""
    return spool.with_name("holds")


def take_over(spool: Path, successor: Owner | None = None) -> int:
    """Make records of what dead workers held; return of how many requests. `successor`: a worker
    whose namesake is dead or about to be; for that one's end is waited. Raises OSError."""
    if not _files(spool):
        return 0
    made = 0
    with _alone(spool):
        for path in _files(spool):
            dying = successor is not None and _owner(path) != successor
            dying = dying and successor is not None and _owner(path).worker == successor.worker
            with suppress(FileNotFoundError):  # Its worker ended well and removed it.
                made += _take(path, spool, _STILL_DYING if dying else 0.0)
    return made


def awaits(spool: Path, segment: Segment) -> bool:
    """Whether the segment's process is dead and its holds are still to be taken over, for which
    its last lines are needed."""
    worker, _, pid, _ = segment.name.rsplit("-", 3)
    kept = list(holds_beside(spool).glob(f"{glob.escape(worker)}-*-{pid}{SUFFIX}"))
    if not kept:
        return False
    with _alone(spool):
        return any(_is_dead(path) for path in kept)


def _files(spool: Path) -> list[Path]:
    return sorted(holds_beside(spool).glob(f"*-*-*{SUFFIX}"))


def _owner(path: Path) -> Owner:
    worker, _, pid = path.stem.rsplit("-", 2)
    return Owner(worker, int(pid) if pid.isdecimal() else 0)


@contextmanager
def _alone(spool: Path) -> Iterator[None]:
    descriptor = os.open(holds_beside(spool) / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _of_dead(path: Path, patience: float) -> Iterator[int | None]:
    """The descriptor of a dead worker's file; None where it lives. Raises FileNotFoundError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    until = monotonic() + patience
    try:
        while not (free := _lock(descriptor)) and monotonic() < until:
            time.sleep(_TURN)
        yield descriptor if free else None
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_dead(path: Path) -> bool:
    try:
        with _of_dead(path, 0.0) as descriptor:
            return descriptor is not None
    except FileNotFoundError:
        return False


def _take(path: Path, spool: Path, patience: float) -> int:
    with _of_dead(path, patience) as descriptor:
        if descriptor is None:
            return 0
        segment = spool / f"{path.stem}-0000.seg"  # A worker's own begin with 1.
        made = 0
        if not segment.exists():
            recorded = _last_recorded(spool, _owner(path))
            left = [hold for hold in holds_in(descriptor) if hold.held.id not in recorded]
            if left:
                made = _write(segment, left)
        path.unlink()
    return made


def holds_in(descriptor: int) -> Iterator[HoldLine]:
    """What stands in the slots. A line that was torn tells of what had not been sent yet."""
    size = os.fstat(descriptor).st_size
    at = 0
    while at < size:
        first = os.pread(descriptor, SLOT, at)
        if first[:1] == b"\0":
            at += SLOT
            continue
        end = first.find(b"\n")
        text = first[:end]
        if end < 0:
            whole = os.pread(descriptor, WIDEST * SLOT, at)
            end = whole.find(b"\n")
            text = whole[:end]
        width = 1
        with suppress(BadLine):
            yield hold_of(text)
            width = -(-(end + 1) // SLOT)
        at += width * SLOT


def _write(segment: Path, left: list[HoldLine]) -> int:
    records = records_of(left)
    log.warning(
        "%s died with %d requests in flight; what was held for them is charged",
        *(segment.name.rsplit("-", 3)[0], len(records)),
    )
    segment.parent.mkdir(parents=True, exist_ok=True)
    partial = segment.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with open(os.open(partial, flags, 0o600), "wb") as file:
        file.writelines(map(line_of, records))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(segment)
    folder = os.open(segment.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # The segment is there for sure before the holds are not.
    finally:
        os.close(folder)
    return len(records)


def _last_recorded(spool: Path, owner: Owner) -> set[str]:
    """The requests of the last records that a process wrote."""
    begin = f"{owner.worker}-"
    own = [
        each
        for each in list_segments(spool)
        if each.name.startswith(begin) and each.name.rsplit("-", 3)[2] == str(owner.pid)
    ]
    sizes = sizes_of(own)
    written = [each for each in own if sizes.get(each.name)]
    return {id for each in written[-2:] for id in _last_of(each, sizes[each.name])}


def _last_of(segment: Segment, size: int) -> set[str]:
    found: set[str] = set()
    tail = _TAIL
    with suppress(FileNotFoundError):  # It was shipped, whole, before its process died.
        while not found and tail <= _LONGEST_TAIL:
            start = _line_after(segment, max(0, size - tail))
            found = {line.record.id for line in read_batch(segment, start, _TAIL).lines}
            tail *= 4  # One line is longer than that, or was torn.
    return found


def _line_after(segment: Segment, place: int) -> int:
    """Where the first line begins that lies behind a place, whole."""
    if not place:
        return 0
    with segment.path.open("rb") as file:
        file.seek(place)
        _ = file.readline()
        return file.tell()
