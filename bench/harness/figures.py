"""The figures of one measurement: pure, from what the load saw and what the processes used.

A table of every figure says what it is for whoever shows it: its words, its unit, which way is
better. CPU is divided by answers, or by chunks where answers are streamed.
"""

from dataclasses import dataclass
from typing import Literal

from bench.harness.recorder import Recorder
from bench.harness.watch import Reading, serving

Better = Literal["less", "more", "neither"]
DISTURBED = 0.25
"""Cores that something else kept busy, from which a measurement is doubted."""

_SHARES = (0.5, 0.9, 0.99, 0.999)
_NAMES = ("p50_ms", "p90_ms", "p99_ms", "p999_ms")


@dataclass(frozen=True, slots=True)
class Figure:
    """How a figure is shown. `brief`: the head of its column."""

    brief: str
    words: str
    better: Better = "less"
    streamed: bool | None = None  # None: of every scenario; else only of such.


FIGURES = {
    "requests_per_second": Figure("req/s", "answers a second", "more"),
    "chunks_per_second": Figure("chunks/s", "chunks a second", "more", True),
    "p50_ms": Figure("p50", "latency, median, ms", streamed=False),
    "p90_ms": Figure("p90", "latency, 90 %, ms", streamed=False),
    "p99_ms": Figure("p99", "latency, 99 %, ms", streamed=False),
    "p999_ms": Figure("p99.9", "latency, 99.9 %, ms", streamed=False),
    "max_ms": Figure("max", "latency, longest, ms", "neither", False),
    "added_p50_ms": Figure("+p50", "latency more than direct, median, ms", streamed=False),
    "added_p99_ms": Figure("+p99", "latency more than direct, 99 %, ms", streamed=False),
    "first_p50_ms": Figure("first p50", "time to the first chunk, median, ms", streamed=True),
    "first_p99_ms": Figure("first p99", "time to the first chunk, 99 %, ms", streamed=True),
    "gap_p50_ms": Figure("gap p50", "between two chunks, median, ms", "neither", True),
    "gap_p99_ms": Figure("gap p99", "between two chunks, 99 %, ms", streamed=True),
    "chunks_per_read": Figure("joined", "chunks that arrived together", "neither", True),
    "held": Figure("held", "streams that flowed when the window closed", "more", True),
    "cpu_us": Figure("CPU us", "CPU of the process that serves, us each"),
    "tree_cpu_us": Figure("tree us", "CPU of all its processes, us each"),
    "per_core": Figure("per core", "answers or chunks a second for a core of its CPU", "more"),
    "start_s": Figure("start s", "from its start to the first answer, s", streamed=False),
    "empty_start_s": Figure("empty s", "the same where the store was empty, s", streamed=False),
    "idle_mb": Figure("idle MB", "memory of the process that serves, before any load"),
    "worker_mb": Figure("worker MB", "memory of the process that serves, most"),
    "rss_mb": Figure("MB", "resident memory of all its processes, most", "less"),
    "wrong": Figure("wrong", "answers that were wrong or missing"),
    "broken": Figure("broken", "streams that were not whole", streamed=True),
}


def shown(*, streamed: bool) -> list[str]:
    """The figures that say something about such a scenario."""
    return [name for name, row in FIGURES.items() if row.streamed in (None, streamed)]


def _times(recorder: Recorder, *, streamed: bool) -> dict[str, float]:
    found = {}
    latencies = recorder.latencies
    if latencies.total:
        for name, seconds in zip(_NAMES, latencies.quantiles(_SHARES), strict=True):
            found[name] = seconds * 1000
        found["max_ms"] = latencies.most * 1000
    if streamed and recorder.first_tokens.total:
        p50, p99 = recorder.first_tokens.quantiles((0.5, 0.99))
        found |= {"first_p50_ms": p50 * 1000, "first_p99_ms": p99 * 1000}
    if streamed and recorder.gaps.total:
        p50, p99 = recorder.gaps.quantiles((0.5, 0.99))
        found |= {"gap_p50_ms": p50 * 1000, "gap_p99_ms": p99 * 1000}
    return found


def figures(
    recorder: Recorder, before: Reading, after: Reading, *, streamed: bool, backlog: float | None
) -> dict[str, float]:
    """The figures of one measurement. `backlog`: CPU seconds that the server used afterwards to
    finish what it had put off; None: its processes are not known."""
    seconds = recorder.seconds or 1.0
    found = {
        "requests_per_second": recorder.answers / seconds,
        "wrong": float(recorder.errors.total()),
        "unfinished": float(recorder.unfinished),
        "late_share": recorder.late / max(recorder.sent, 1),
        "window_s": seconds,
    }
    if streamed:
        found["chunks_per_second"] = recorder.chunks / seconds
        found["chunks_per_read"] = recorder.chunks / max(recorder.reads, 1)
        found["broken"] = float(recorder.broken)
    found |= _times(recorder, streamed=streamed)
    tree = after.tree - before.tree
    done = recorder.chunks if streamed else recorder.answers
    if backlog is not None and done:
        part = recorder.answers / max(recorder.all_answers, 1)
        used = serving(before, after)
        found["cpu_us"] = used / done * 1e6
        if used:
            found["per_core"] = done / used
        found["tree_cpu_us"] = (tree + backlog * part) / done * 1e6
    others = after.machine - before.machine - tree - (after.ours - before.ours)
    found["others"] = max(others, 0.0) / seconds
    return found
