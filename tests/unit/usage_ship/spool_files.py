"""Segments as workers leave them."""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from proxy.wire.record import UsageRecord, line_of


def segment_name(number: int, *, worker: str = "worker-1", begun: int = 1_763_640_000_000) -> str:
    return f"{worker}-{begun + number:013d}-77-{number:04d}.seg"


def write_segment(folder: Path, number: int, records: Iterable[UsageRecord]) -> Path:
    """A finished segment."""
    return write_bytes(folder, number, b"".join(map(line_of, records)))


def write_bytes(folder: Path, number: int, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / segment_name(number)
    path.write_bytes(data)
    return path


class ActiveSegment:
    """A segment that is being written: its lock is held until `finish`."""

    def __init__(self, folder: Path, number: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / segment_name(number)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def append(self, data: bytes) -> None:
        os.write(self._descriptor, data)

    def finish(self) -> None:
        os.close(self._descriptor)


def segments_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.seg"))
