"""Where records go that no store will take, and bytes that are no records: nothing is thrown away.

One file per segment, `<spool>/dead/<segment's name>`, a line of JSON per letter: the reason, the
place in the segment, and the line itself (`line`, or `base64` when it is not UTF-8). A letter is on
the disk before the shipper goes past its record, and written once however often that is repeated.
"""

import base64
import os
from pathlib import Path
from typing import Any

from proxy.base.clock import wall
from proxy.base.jsonio import JSONError, dumps, loads


class DeadLetters:
    """The folder of dead letters. Its calls touch the disk."""

    def __init__(self, spool: Path) -> None:
        self._folder = spool / "dead"
        self._known: tuple[str, set[int]] = ("", set())
        self.count = 0

    def take_stock(self) -> int:
        """Count the letters of earlier times."""
        self.count = sum(len(_offsets(path)) for path in self._paths())
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
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # A letter that a crash cut short must not swallow this one.
            lead = b"" if _ends_with_break(path) else b"\n"
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(lead + dumps(letter) + b"\n")
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        self._known[1].add(start)
        self.count += 1

    def _paths(self) -> list[Path]:
        return sorted(self._folder.iterdir()) if self._folder.is_dir() else []


def _readable(raw: bytes) -> dict[str, Any]:
    try:
        return {"line": raw.rstrip(b"\n").decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _offsets(path: Path) -> set[int]:
    if not path.exists():
        return set()
    found = set()
    with path.open("rb") as file:
        for line in file:
            try:
                found.add(int(loads(line)["start"]))
            except (JSONError, KeyError, TypeError, ValueError):
                continue  # Cut short by a crash: it is written again.
    return found


def _ends_with_break(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
