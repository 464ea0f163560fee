"""How a walls run is shown: a table for people, JSON for programs."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bench.faults_show import usd
from bench.walls_run import Outcome
from bench.walls_world import KINDS

_WORDS = ("answered", "refused", "cut", "error", "aborted", "unavailable", "lost", "other")


def table(found: Outcome) -> str:
    """What people read."""
    book, seen, verdict = found.book, found.seen, found.verdict
    counts = book.counts
    held = sum(hold.money for hold in found.charged)
    rows = [
        ("calls", f"{book.sent:,}"),
        *((word, f"{counts[word]:,}") for word in _WORDS),
        ("workers killed", f"{found.killed}"),
        ("budgets", f"{len(found.budgets):,}, {len(seen.full):,} of them seen full"),
        ("looks at all of them", f"{seen.looks:,}"),
        *(
            (f"highest, {kind}", f"{seen.highest[kind]:.9f} of the amount spent and held")
            for kind in KINDS
            if kind in seen.highest
        ),
        ("overruns", f"{seen.overruns:,}"),
        ("told that less than nothing is left", f"{book.negative:,} of {book.told:,} times"),
        ("refused calls that consumed", f"{found.consumed:,} counters changed"),
        ("admitted, though too dear", f"{found.admitted:,}"),
        ("holds set right by records", f"{found.corrected:,}"),
        ("holds charged in full", f"{len(found.charged):,}, {usd(held)}: no record can come"),
        ("holds left open", f"{len(found.unexplained):,}"),
        ("spent, by the counters", f"{usd(verdict.in_counters)} of {usd(verdict.amount)}"),
        ("  of it held for ever", usd(verdict.in_holds)),
        ("spent, by the records", usd(verdict.in_records)),
        ("owed to the vendor", usd(verdict.in_truth)),
        ("difference to records", f"{len(verdict.differences):,} budgets"),
        ("overspent, by the records", f"{len(verdict.overspent):,} budgets"),
        ("overspent, by the vendor", f"{len(verdict.owing):,} budgets"),
        ("time", ", ".join(f"{what} {seconds:.1f} s" for what, seconds in found.times.items())),
    ]
    width = max(len(name) for name, _ in rows)
    wrong = [*seen.examples, *verdict.examples(), *(f"{n} x {w}" for w, n in book.wrong.items())]
    return "\n".join(
        [*(f"{name:{width}}  {value}" for name, value in rows), *map("  ".__add__, wrong)]
    )


def as_json(found: Outcome, made: Mapping[str, Any]) -> dict[str, Any]:
    """What programs read."""
    verdict, seen = found.verdict, found.seen
    return {
        "made": {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "seconds": {what: round(value, 2) for what, value in found.times.items()},
            **made,
        },
        "good": found.good,
        "calls": found.book.sent,
        **{word: found.book.counts[word] for word in _WORDS},
        "killed": found.killed,
        "budgets": len(found.budgets),
        "budgets_full": len(seen.full),
        "looks": seen.looks,
        "highest": dict(seen.highest),
        "overruns": seen.overruns,
        "negative": found.book.negative,
        "consumed_by_refused": found.consumed,
        "admitted_too_dear": found.admitted,
        "holds": {
            "set_right": found.corrected,
            "charged_in_full": len(found.charged),
            "left_open": len(found.unexplained),
        },
        "nano_usd": {
            "amount": verdict.amount,
            "in_counters": verdict.in_counters,
            "in_holds": verdict.in_holds,
            "in_records": verdict.in_records,
            "owed": verdict.in_truth,
        },
        "differences": verdict.differences,
        "overspent": verdict.overspent,
        "owing": verdict.owing,
    }
