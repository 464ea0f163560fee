"""`llm-proxy usage dead-letters`: records that the store refused, and another chance for them.

It works on the files below `data_dir` alone; the store may be away, `serve` may run or not. Exit
codes: 0; 1 when the files cannot be read or written; 2 for a bad configuration.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from proxy.base.jsonio import dumps
from proxy.build.accounting import spool_folder
from proxy.cli.configured import BAD_CONFIGURATION, settings_of
from proxy.usage.dead_letters import Letter, letter_files, letters
from proxy.usage.dead_replay import record_in, replay

Action = Literal["list", "replay"]
Format = Literal["table", "json"]


class _Reason:
    """The letters with one reason."""

    __slots__ = ("count", "first", "last", "records")

    def __init__(self, first: int) -> None:
        self.count = self.records = 0
        self.first = self.last = first

    def add(self, letter: Letter) -> None:
        self.count += 1
        self.records += record_in(letter) is not None
        self.first, self.last = min(self.first, letter.at), max(self.last, letter.at)


def dead_letters(
    action: Action, shape: Format, config: Path | None, environment: str | None
) -> int:
    """Print or replay them."""
    settings = settings_of(config, environment)
    if settings is None:
        return BAD_CONFIGURATION
    spool = spool_folder(settings)
    try:
        if action == "replay":
            _replay(spool)
        elif shape == "json":
            sys.stdout.writelines(f"{dumps(_described(each)).decode()}\n" for each in _all(spool))
        else:
            sys.stdout.writelines(f"{line}\n" for line in _table(spool))
        sys.stdout.flush()
    except OSError as error:
        sys.stderr.write(f"llm-proxy: {error.filename or spool}: {error.strerror or error}\n")
        return 1
    return 0


def _replay(spool: Path) -> None:
    done = replay(spool)
    sys.stdout.write(f"{done.records:,} records are in the spool again")
    sys.stdout.write("; `llm-proxy serve` ships them\n" if done.records else "\n")
    if done.kept:
        sys.stdout.write(f"{done.kept:,} letters are no records and stay in {spool / 'dead'}\n")


def _all(spool: Path) -> Iterator[Letter]:
    for path in letter_files(spool / "dead"):
        for _, letter in letters(path):
            if letter is not None:
                yield letter


def _table(spool: Path) -> Iterator[str]:
    reasons: dict[str, _Reason] = {}
    for letter in _all(spool):
        reasons.setdefault(letter.reason, _Reason(letter.at)).add(letter)
    total = sum(reason.count for reason in reasons.values())
    if not total:
        yield "no dead letters"
        return
    yield f"{'LETTERS':>9} {'RECORDS':>9}  {'FIRST':<20} {'LAST':<20} REASON"
    for text, reason in sorted(reasons.items(), key=lambda item: -item[1].count):
        times = f"{_time(reason.first):<20} {_time(reason.last):<20}"
        yield f"{reason.count:>9,} {reason.records:>9,}  {times} {text}"
    records = sum(reason.records for reason in reasons.values())
    yield ""
    yield f"{total:,} in {spool / 'dead'}, {records:,} of them records."
    if records:
        yield "When the reason is gone: `llm-proxy usage dead-letters replay`."


def _described(letter: Letter) -> dict[str, Any]:
    record = record_in(letter)
    return {
        "at": _time(letter.at),
        "segment": letter.segment,
        "start": letter.start,
        "end": letter.end,
        "reason": letter.reason,
        "record": record.id if record is not None else None,
    }


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
