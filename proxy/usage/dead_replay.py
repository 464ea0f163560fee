"""Gives dead letters another chance: their records go back into the spool, by the usual way.

When the reason is gone (a constraint of the operator's, a bug of ours) the records of a file become
a new finished segment, whole or not at all, and after that the file goes. A crash in between leaves
both: then a record is shipped twice and kept once, as time and id are the key of the table. Letters
that are no records stay where they are. A running shipper need not be told.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from proxy.base.clock import wall
from proxy.usage.dead_letters import Letter, letter_files, letters, locked
from proxy.usage.segments import SUFFIX
from proxy.wire.record import BadLine, UsageRecord
from proxy.wire.record_reader import record_of


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was done: records in the spool again, letters that stay."""

    records: int
    kept: int


def record_in(letter: Letter) -> UsageRecord | None:
    """The record that a letter is about; None for bytes that are no record."""
    try:
        return record_of(letter.raw)
    except BadLine:
        return None


def replay(spool: Path) -> Replayed:
    """Put all records among the letters back into the spool. Raises OSError."""
    records = kept = 0
    for number, path in enumerate(letter_files(spool / "dead"), 1):
        try:
            with locked(path):
                done = _replay(path, spool / _name(number))
        except FileNotFoundError:
            continue  # Somebody else was first.
        records += done.records
        kept += done.kept
    return Replayed(records, kept)


def _replay(path: Path, segment: Path) -> Replayed:
    ready, rest = segment.with_suffix(".new"), path.with_suffix(".new")
    records = kept = 0
    owner = segment.parent.stat()
    with _new(ready, owner) as back, _new(rest, owner) as stays:
        for line, letter in letters(path):
            if letter is not None and record_in(letter) is not None:
                back.write(letter.raw)
                records += 1
            else:
                stays.write(line if line.endswith(b"\n") else line + b"\n")
                kept += 1
        for file in (back, stays):
            file.flush()
            os.fsync(file.fileno())
    if records:
        ready.rename(segment)
        _sync(segment.parent)
    else:
        ready.unlink()
    if records and kept:
        rest.rename(path)
    else:
        rest.unlink()
    if not kept:
        path.unlink()
    _sync(path.parent)
    return Replayed(records, kept)


def _name(number: int) -> str:
    return f"replay-{int(wall() * 1000):013d}-{os.getpid()}-{number:04d}{SUFFIX}"


def _new(path: Path, owner: os.stat_result) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags, 0o600), "wb")
    if os.geteuid() == 0:  # Control may be another user, who has to read it.
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    return file


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
