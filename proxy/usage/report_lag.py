"""How far the books are behind the spool, for a command that runs beside the service.

It looks at the files and asks the store how far each was shipped; nothing is created or locked. The
sizes are taken before the positions, so that what is shipped meanwhile is not taken for waiting.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from proxy.base.clock import wall
from proxy.usage.segments import Segment, list_segments, read_batch, sizes_of
from proxy.usage.ship_lag import Lag, written

_PIECE = 1024 * 1024
_COUNTED = 256 * 1024 * 1024
"""Bytes in which records are counted; beyond them the number is worked out from the size."""


class SpoolLook:
    """A look at a spool: first the files, then how far they were shipped."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError when the folder cannot be read."""
        self._segments = list_segments(folder)
        self._sizes = sizes_of(self._segments)
        self._prefix = ""
        with suppress(FileNotFoundError):  # Nothing was ever shipped.
            self._prefix = (folder / "id").read_text(encoding="ascii").strip() + "/"

    @property
    def names(self) -> list[str]:
        """The segments by the names under which the store knows them."""
        return [self._prefix + segment.name for segment in self._segments]

    def lag(self, positions: Mapping[str, int]) -> Lag:
        """What is not in the store, by how far it says that each segment was shipped."""
        waiting = [
            (segment, position, size - position)
            for segment in self._segments
            if (size := self._sizes.get(segment.name, 0))
            > (position := positions.get(self._prefix + segment.name, 0))
        ]
        if not waiting:
            return Lag()
        waits = sum(left for _, _, left in waiting)
        counted = lines = 0
        for segment, position, left in waiting:
            if counted >= _COUNTED:
                break
            counted += left
            lines += _count(segment, position, left)
        records = lines if counted == waits else round(lines * waits / counted)
        return Lag(records, waits, _age(*waiting[0][:2]))


def _count(segment: Segment, position: int, left: int) -> int:
    lines = 0
    with suppress(FileNotFoundError), segment.path.open("rb", buffering=0) as file:
        file.seek(position)
        while left > 0 and (piece := os.read(file.fileno(), min(left, _PIECE))):
            lines += piece.count(b"\n")
            left -= len(piece)
    return lines


def _age(segment: Segment, position: int) -> float:
    """Seconds since the oldest record was written; since the segment was begun, where there is none
    to read."""
    begun = segment.begun / 1000
    with suppress(FileNotFoundError):
        batch = read_batch(segment, position, limit=1)
        if batch.lines:
            begun = written(batch.lines[0].record)
    return max(0.0, wall() - begun)
