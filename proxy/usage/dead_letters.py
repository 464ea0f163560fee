"""Where records go that no store will take, and bytes that are no records: nothing is thrown away.

One file per segment, `<spool>/dead/<segment's name>`, a line of JSON per letter: the reason, the
place in the segment, and the line itself (`line`, or `base64` when it is not UTF-8). A letter is on
the disk before the shipper goes past its record, and written once however often that is repeated.
A file is changed by whoever has its lock (`flock`), and has still its name then: an operator may
replay letters (`dead_replay.py`) while the shipper adds some.
"""

import base64
import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.base.clock import wall
from proxy.base.jsonio import JSONError, dumps, loads
from proxy.usage.segments import SUFFIX


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter. `at`: when it was written, seconds since the epoch; `raw`: what it is about."""

    at: int
    segment: str
    start: int
    end: int
    reason: str
    raw: bytes


class DeadLetters:
    """The folder of dead letters. Its calls touch the disk."""

    def __init__(self, spool: Path) -> None:
        self._folder = spool / "dead"
        self._known: tuple[str, set[int]] = ("", set())
        self._changed = -1
        self.count = 0

    def take_stock(self) -> int:
        """Count the letters, if any file came or went since the last time."""
        try:
            changed = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            changed = -1
        if changed != self._changed:
            self._changed = changed
            self._known = "", set()
            self.count = sum(len(_offsets(path)) for path in letter_files(self._folder))
        return self.count

    def add(self, segment: str, start: int, end: int, reason: str, raw: bytes) -> None:
        """Keep a line, with the place where it was."""
        path = self._folder / segment
        if self._known[0] != segment:
            self._known = segment, _offsets(path)
        if start in self._known[1]:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        letter = {"at": int(wall()), "segment": segment, "start": start, "end": end}
        letter |= {"reason": reason, **_readable(raw)}
        with locked(path, create=True) as descriptor:
            # A letter that a crash cut short must not swallow this one.
            lead = b"" if _ends_with_break(descriptor) else b"\n"
            with os.fdopen(os.dup(descriptor), "ab") as file:
                file.write(lead + dumps(letter) + b"\n")
            os.fdatasync(descriptor)
        self._known[1].add(start)
        self.count += 1


def letter_files(folder: Path) -> list[Path]:
    """The files with letters."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def letters(path: Path) -> Iterator[tuple[bytes, Letter | None]]:
    """Each line of a file and its letter; None for one that a crash cut short."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            yield line, _letter(line)


@contextlib.contextmanager
def locked(path: Path, *, create: bool = False) -> Iterator[int]:
    """A descriptor of the file, which nobody else changes meanwhile. Raises FileNotFoundError."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    while True:
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_named(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is_named(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _readable(raw: bytes) -> dict[str, Any]:
    try:
        return {"line": raw.rstrip(b"\n").decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _letter(line: bytes) -> Letter | None:
    try:
        found = loads(line)
        text = found.get("line")
        raw = base64.b64decode(found["base64"]) if text is None else f"{text}\n".encode()
        return Letter(
            *(int(found["at"]), str(found["segment"]), int(found["start"]), int(found["end"])),
            *(str(found["reason"]), raw),
        )
    except (JSONError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _offsets(path: Path) -> set[int]:
    # One that was cut short by a crash is written again.
    return {letter.start for _, letter in letters(path) if letter is not None}


def _ends_with_break(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
