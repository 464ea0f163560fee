"""How a fault run is shown: a line while it runs, a table and JSON at its end."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.faults_answers import Book
from bench.faults_audit import Verdict
from bench.faults_plan import Done
from proxy.base.clock import monotonic
from proxy.base.jsonio import pretty

_WIDTH = 24
_EVERY = 5.0
_SECONDS = 1.0


class Progress:
    """One line that is written again in a terminal, a line now and then elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._began = monotonic()
        self._last = float("-inf")
        self._live = sys.stderr.isatty()
        self._shown = 0

    @property
    def seconds(self) -> float:
        return monotonic() - self._began

    def show(self, finished: int, faults: str, behind: int | None, *, now: bool = False) -> None:
        """`behind`: records that wait in the spool, None when nobody can say."""
        if not now and monotonic() - self._last < (_SECONDS / 5 if self._live else _EVERY):
            return
        self._last = monotonic()
        full = _WIDTH * finished // self._total
        waits = "control is away" if behind is None else f"{behind:,} records wait"
        line = (
            f"[{'#' * full}{'.' * (_WIDTH - full)}] {finished:,}/{self._total:,} requests, "
            f"{faults} faults, {waits}, {self.seconds:.0f} s"
        )
        self._write(line)

    def end(self) -> None:
        if self._live and self._shown:
            sys.stderr.write("\n")

    def _write(self, line: str) -> None:
        if self._live:
            sys.stderr.write("\r" + line.ljust(self._shown))
            self._shown = len(line)
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()


def usd(nano: int) -> str:
    """To the last digit."""
    return f"{nano // 10**9}.{nano % 10**9:09d} USD"


def table(book: Book, verdict: Verdict, done: Sequence[Done], times: Mapping[str, float]) -> str:
    """What people read."""
    ends = book.ends
    rows = [
        ("requests sent", f"{book.sent:,}"),
        ("faults", ", ".join(_counted(done))),
        (
            "answered",
            f"{verdict.answered:,} ({ends['whole']:,} whole, {ends['told']:,} errors, "
            f"{ends['ended']:,} streams that said they were cut)",
        ),
        ("recorded", f"{verdict.recorded:,}"),
        ("missing", f"{len(verdict.missing):,}"),
        ("duplicated", f"{len(verdict.duplicated):,}"),
        ("differing", f"{len(verdict.differing):,}"),
        ("status misreported", f"{len(verdict.misreported):,}"),
        ("cost, by the clients", usd(verdict.cost_by_clients)),
        ("cost, in their rows", usd(verdict.cost_in_rows)),
        ("cost, in all rows", usd(verdict.cost_of_all_rows)),
        ("cost, in the roll-ups", usd(verdict.cost_in_hours)),
        ("roll-ups differing", f"{len(verdict.keys_differing):,} keys"),
        (
            "not answered",
            f"{ends['unanswered'] + ends['broken']:,} connections lost around a kill "
            f"({ends['broken']:,} in the middle of an answer), {ends['left']:,} clients left, "
            f"{ends['silent']:,} waited in vain",
        ),
        ("rows of these", f"{verdict.other_rows:,}"),
        ("not as ordered", ", ".join(f"{n} {what}" for what, n in book.wrong.items()) or "none"),
        ("time", ", ".join(f"{what} {seconds:.1f} s" for what, seconds in times.items())),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:{width}}  {value}" for name, value in rows]
    return "\n".join([*lines, *(f"  {example}" for example in verdict.examples())])


def as_json(
    book: Book, verdict: Verdict, done: Sequence[Done], made: Mapping[str, Any]
) -> dict[str, Any]:
    """What programs read."""
    return {
        "made": {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            **made,
        },
        "good": verdict.good,
        "sent": book.sent,
        "answered": verdict.answered,
        "recorded": verdict.recorded,
        "missing": len(verdict.missing),
        "duplicated": len(verdict.duplicated),
        "differing": len(verdict.differing),
        "roll_ups_differing": len(verdict.keys_differing),
        "status_misreported": len(verdict.misreported),
        "examples": verdict.examples(),
        "nano_usd": {
            "by_clients": verdict.cost_by_clients,
            "in_their_rows": verdict.cost_in_rows,
            "of_answers_without_usage": verdict.unknown_cost,
            "in_all_rows": verdict.cost_of_all_rows,
            "in_roll_ups": verdict.cost_in_hours,
        },
        "rows": verdict.rows,
        "rows_of_unanswered": verdict.other_rows,
        "rows_without_cost": verdict.unpriced,
        "ends": dict(book.ends),
        "wrong": dict(book.wrong),
        "connects_refused": book.unconnected,
        "faults": [
            {
                "what": each.step.what,
                "after_requests": each.step.at,
                "after_seconds": round(each.after, 2),
                "recovered_seconds": round(each.recovered, 2),
            }
            for each in done
        ],
    }


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Save what `as_json` made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pretty(found))


def _counted(done: Sequence[Done]) -> list[str]:
    names = [each.step.what for each in done]
    return [f"{names.count(name)} x {name}" for name in dict.fromkeys(names)] or ["none"]
