"""How far the store is behind the spool, from what the shipper saw last."""

from dataclasses import dataclass

from proxy.base.clock import wall
from proxy.usage.segments import Segment
from proxy.wire.record_reader import Told

_USUAL_LINE = 1000.0
_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Lag:
    """What is in the spool and not in the store. `records` is bytes by the usual length of a line;
    `seconds` is for how long the oldest of it has been there: a record is written when its request
    ends, however long that took."""

    records: int = 0
    bytes: int = 0
    seconds: float = 0.0


class Progress:
    """Positions and sizes of all segments, and the lag that follows from them."""

    def __init__(self) -> None:
        self.positions: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._oldest: float | None = None
        self._was_level = False
        self._line = _USUAL_LINE

    @property
    def names(self) -> list[str]:
        """Segments that were there at the last look."""
        return list(self._sizes)

    def look(self, segments: list[Segment], sizes: dict[str, int]) -> None:
        """Take in all segments, oldest first, and their sizes."""
        self._sizes = sizes
        for name in self.positions.keys() - sizes.keys():
            del self.positions[name]
        waiting = [each for each in segments if self._left(each.name)]
        if not waiting:
            self._oldest, self._was_level = None, True
        elif self._oldest is None:
            # A moment ago there was nothing; or nothing is known but when the segment was begun.
            self._oldest = wall() if self._was_level else waiting[0].begun / 1000

    def left(self, segment: Segment) -> bool:
        """Whether there are bytes that were not shipped, as far as is known."""
        return self._left(segment.name) > 0

    def read(self, first: Told, size: int, records: int) -> None:
        """A batch was read: so many bytes and records, this one first."""
        self._oldest = written(first)
        self._line += _WEIGHT * (size / records - self._line)

    def lag(self) -> Lag:
        size = sum(self._left(name) for name in self._sizes)
        if not size or self._oldest is None:
            return Lag()
        records = max(1, round(size / self._line))
        return Lag(records, size, max(0.0, wall() - self._oldest))

    def _left(self, name: str) -> int:
        return max(0, self._sizes.get(name, 0) - self.positions.get(name, 0))


def written(record: Told) -> float:
    """When it was written, in seconds since the epoch."""
    return (record.at + record.done) / 1_000_000
