"""What was spent by the scopes of budgets before somebody began to count it himself.

It is the sum of two parts that no record is missing from and none is in both: what the store has
added up, and the lines of the spool that were not shipped when it was asked. So the order matters:

1. open all segments: what is shipped and deleted from now on stays readable
2. ask the store, in one snapshot, for the sums and for how far each segment was shipped
3. look for segments that were begun meanwhile, and read all of them from those positions on

A segment that is gone before it could be opened was in the store, whole, before the store was
asked. A line that is no record, or not whole yet, counts as not being there.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from proxy.usage.segments import Segment, list_segments
from proxy.wire.record import BadLine, UsageRecord
from proxy.wire.record_reader import record_of

_PIECE = 256 * 1024
_LONGEST_LINE = 64 * 1024 * 1024


class Found(NamedTuple):
    """A record of the spool. `shipped`: the store has it."""

    record: UsageRecord
    own: bool
    shipped: bool


@dataclass(frozen=True, slots=True)
class _Opened:
    segment: Segment
    descriptor: int


class OpenedSpool:
    """All segments of a spool, open for reading. `id`: what they are known by in the store, None
    where nothing was ever shipped; since the first look."""

    def __init__(self, folder: Path) -> None:
        self.id: str | None = None
        self._folder = folder
        self._opened: dict[str, _Opened] = {}

    def close(self) -> None:
        """Let go of the files."""
        while self._opened:
            os.close(self._opened.popitem()[1].descriptor)

    def look(self) -> None:
        """Open the segments that were begun since the last look."""
        if self.id is None:
            with suppress(FileNotFoundError):
                self.id = (self._folder / "id").read_text(encoding="ascii").strip()
        for segment in list_segments(self._folder):
            if segment.name not in self._opened:
                with suppress(FileNotFoundError):
                    descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
                    self._opened[segment.name] = _Opened(segment, descriptor)

    def records(
        self, positions: Mapping[str, int], own: Callable[[Segment], bool]
    ) -> Iterator[Found]:
        """The records that were not shipped, by the position of each segment (none is 0); of own
        segments those that were shipped too, while they are there."""
        for name, opened in self._opened.items():
            position = positions.get(name, 0)
            is_own = own(opened.segment)
            for end, line in _lines(opened.descriptor, 0 if is_own else position):
                with suppress(BadLine):
                    yield Found(record_of(line), is_own, end <= position)


def _lines(descriptor: int, start: int) -> Iterator[tuple[int, bytes]]:
    """Where each whole line ends, and its bytes without the line break."""
    kept: list[bytes] = []
    length = 0
    while piece := os.pread(descriptor, _PIECE, start):
        start += len(piece)
        *whole, rest = piece.split(b"\n")
        end = start - len(piece)
        for line in whole:
            end += len(line) + 1
            if length <= _LONGEST_LINE:
                yield end, b"".join((*kept, line)) if kept else line
            kept, length = [], 0
        length += len(rest)
        if rest and length <= _LONGEST_LINE:
            kept.append(rest)
