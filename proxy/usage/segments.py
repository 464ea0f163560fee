"""The reading side of the spool: segments, and the records in them.

A segment is finished when its lock is free: the writer holds it until it will never write there
again. Whether it is finished is asked before it is read, so that the end that is read then is the
end. Lines are read in pieces of bounded size, however large the segment or one line of it.

A line that is no record is passed over up to its line break and reported with its bytes; so is the
torn last line of a finished segment. The last line of an active one is just not there yet.

Room that was allocated and not written is NUL, which is in no line. In an active segment reading
stops there; NULs at the end of a finished one, whose writer was killed, count as not being there.
"""

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from proxy.base.clock import wall
from proxy.wire.record import BadLine
from proxy.wire.record_reader import RecordReader, Told, record_of

SUFFIX = ".seg"
_NAME = re.compile(r"(?P<worker>.+)-(?P<begun>\d{13})-(?P<pid>\d+)-(?P<number>\d{4,})\.seg")
_NUL = b"\0"
_PIECE = 256 * 1024
_BATCH_BYTES = 4 * 1024 * 1024
_LONGEST_LINE = 64 * 1024 * 1024
_SHOWN = 64 * 1024
_EMPTY_AGE = 60.0


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of the spool; in order of the time it was begun."""

    begun: int  # Milliseconds since the epoch, by the writer's clock.
    number: int
    name: str
    path: Path = field(compare=False)


class Line(msgspec.Struct, frozen=True, gc=False):
    """A record and where its line begins and ends."""

    start: int
    end: int
    record: Told
    raw: bytes


@dataclass(frozen=True, slots=True)
class BadSpan:
    """Bytes that are no record. `raw` is their beginning, cut where they are too many."""

    start: int
    end: int
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read from `start` on; all up to `next_offset` is in `lines` or `bad`. `finished`:
    nothing will be written to the segment any more."""

    start: int
    next_offset: int
    lines: tuple[Line, ...]
    bad: tuple[BadSpan, ...]
    finished: bool

    @property
    def records(self) -> list[Told]:
        return [line.record for line in self.lines]


def list_segments(folder: Path) -> list[Segment]:
    """All segments, oldest first; none when the folder is not there."""
    found = []
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            if (match := _NAME.fullmatch(path.name)) is not None:
                segment = Segment(int(match["begun"]), int(match["number"]), path.name, path)
                found.append(segment)
    return sorted(found)


def spool_id(folder: Path) -> str:
    """What tells this spool from all others that share a store; made once, kept in the folder."""
    path = folder / "id"
    with suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, ours = tempfile.mkstemp(prefix="id.", suffix=".new", dir=folder)
    try:
        os.write(descriptor, os.urandom(8).hex().encode())
        os.fsync(descriptor)
        with suppress(FileExistsError):
            path.hardlink_to(ours)  # Whole or not at all, and the first one stays.
    finally:
        os.close(descriptor)
        Path(ours).unlink()
    return path.read_text(encoding="ascii").strip()


def sizes_of(segments: list[Segment]) -> dict[str, int]:
    """Bytes written to each segment by now, by name, without those that are gone."""
    sizes = {}
    for segment in segments:
        with suppress(FileNotFoundError):
            descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                sizes[segment.name] = _written(descriptor)
            finally:
                os.close(descriptor)
    return sizes


def _written(descriptor: int) -> int:
    """The size without the NULs at the end."""
    size = os.fstat(descriptor).st_size
    if not size or os.pread(descriptor, 1, size - 1) != _NUL:
        return size
    if not _is_free(descriptor):
        return _first_nul(descriptor, size)
    # What a crash of the machine left may have holes: look at every byte.
    while size:
        start = max(0, size - _PIECE)
        piece = os.pread(descriptor, size - start, start).rstrip(_NUL)
        if piece:
            return start + len(piece)
        size = start
    return 0


def _first_nul(descriptor: int, size: int) -> int:
    """Where the writer is: all before it is written, all behind it is not."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        if os.pread(descriptor, 1, middle) in (_NUL, b""):  # Shortened just now: not written.
            high = middle
        else:
            low = middle + 1
    return low


def _is_free(descriptor: int) -> bool:
    """Whether no writer has the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_finished(segment: Segment) -> bool:
    """Whether nothing will be written to it any more. Also true when it is gone."""
    try:
        descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return _is_free(descriptor)
    finally:
        os.close(descriptor)


def remove(segment: Segment, shipped: int) -> bool:
    """Delete the segment if it is finished and no longer than what was shipped of it.

    An empty one stays for a minute: its writer may be about to lock it.
    """
    try:
        descriptor = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        written = _written(descriptor)
        if written > shipped:
            return False
        if not written and abs(wall() - os.fstat(descriptor).st_mtime) < _EMPTY_AGE:
            return False
        segment.path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def read_batch(
    segment: Segment, offset: int, limit: int = 500, reader: RecordReader | None = None
) -> Batch:
    """Up to `limit` records from `offset` on, fewer when they are large. `reader`: for many calls,
    and briefs may be left as they are.

    Raises FileNotFoundError when the segment is gone.
    """
    finished = is_finished(segment)
    read = record_of if reader is None else reader.told
    lines: list[Line] = []
    bad: list[BadSpan] = []
    end = offset
    with segment.path.open("rb", buffering=0) as file:
        file.seek(offset)
        for start, end_of_line, raw in _lines(_pieces(file.fileno()), offset, finished):
            if not finished and _NUL in raw:
                break  # Being written.
            end = end_of_line
            try:
                lines.append(Line(start, end, _record(raw, end - start, read), raw))
            except BadLine as error:
                bad.append(BadSpan(start, end, str(error), raw[:_SHOWN]))
            if len(lines) + len(bad) >= limit or end - offset >= _BATCH_BYTES:
                break
    return Batch(offset, end, tuple(lines), tuple(bad), finished)


def _pieces(descriptor: int) -> Iterator[bytes]:
    while piece := os.read(descriptor, _PIECE):
        yield piece


def _record(raw: bytes, length: int, read: Callable[[bytes], Told]) -> Told:
    if length > len(raw):
        raise BadLine(f"a line of {length} bytes")
    if not raw.endswith(b"\n"):
        raise BadLine("the last line is torn")
    return read(raw)


def _lines(pieces: Iterator[bytes], start: int, finished: bool) -> Iterator[tuple[int, int, bytes]]:
    """Where each line begins and ends, and its bytes with the line break: all of them, or the
    beginning of a line that is longer than any record can be."""
    kept: list[bytes] = []
    room, length = _LONGEST_LINE, 0
    for piece in pieces:
        at = 0
        while (cut := piece.find(b"\n", at) + 1) > 0:
            length += cut - at
            kept.append(piece[at:cut] if cut - at <= room else piece[at : at + room])
            yield start, start + length, b"".join(kept)
            start += length
            kept, room, length, at = [], _LONGEST_LINE, 0, cut
        rest = piece[at:]
        if not finished and rest.endswith(_NUL):
            return
        length += len(rest)
        if room > 0:
            kept.append(rest[:room])
            room -= len(kept[-1])
    if length and finished:
        torn = b"".join(kept)
        nothing = len(torn) - len(torn.rstrip(_NUL)) if len(torn) == length else 0
        if length > nothing:
            yield start, start + length - nothing, torn[: len(torn) - nothing]
