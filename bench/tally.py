"""Counts what the load generator saw, and says it in a report.

Only what happens while the window is open counts as a figure, so warm-up and ramp are left out;
errors count from first to last. CPU of the watched processes is read when the window opens and
closes, by the process that counts, so both ends of the division are of the same span. What the
machine did besides us and the watched is said too: figures from a busy machine are worth little.
"""

import os
from array import array
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from bench.measure import cpu_seconds, machine_seconds
from proxy.base.clock import monotonic


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles in milliseconds."""

    p50: float
    p90: float
    p99: float
    p999: float
    most: float


def spread(seconds: "array[float]") -> Spread | None:
    """The quantiles (nearest rank) of a sample; None of an empty one."""
    if not seconds:
        return None
    ranked = sorted(seconds)
    last = len(ranked) - 1

    def at(share: float) -> float:
        return round(ranked[min(last, int(share * len(ranked)))] * 1000, 3)

    return Spread(at(0.5), at(0.9), at(0.99), at(0.999), round(ranked[-1] * 1000, 3))


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of the load generator found. Times of the window in seconds."""

    seconds: float
    requests: int
    requests_per_second: float
    latency: Spread | None
    first_token: Spread | None
    chunks: int
    reads: int
    chunks_per_second: float
    gap: Spread | None
    streams_held: int
    streams_whole: int
    broken: int
    errors: dict[str, int]
    cpu: dict[str, float]
    others: float  # Cores kept busy by processes that are neither watched nor this one.

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Report":
        spreads = {
            name: Spread(**given[name]) if given[name] is not None else None
            for name in ("latency", "first_token", "gap")
        }
        return cls(**{**given, **spreads})


class Tally:
    """The running counts of one load."""

    __slots__ = (
        "_cpu", "_opened", "_others", "_seconds", "_watch", "broken", "chunks", "errors",
        "first_tokens", "gaps", "held", "latencies", "open", "reads", "whole",
    )  # fmt: skip

    def __init__(self, watch: dict[str, int]) -> None:
        self._watch = watch
        self._cpu: dict[str, float] = {}
        self._opened = 0.0
        self._others = 0.0
        self._seconds = 0.0
        self.open = False
        self.latencies: array[float] = array("d")
        self.first_tokens: array[float] = array("d")
        self.gaps: array[float] = array("d")
        self.chunks = 0
        self.reads = 0
        self.held = 0
        self.whole = 0
        self.broken = 0
        self.errors: Counter[str] = Counter()

    def begin(self) -> None:
        """Open the window."""
        self._cpu = {name: cpu_seconds(pid) for name, pid in self._watch.items()}
        self._others = self._others_seconds()
        self._opened = monotonic()
        self.open = True

    def end(self) -> None:
        """Close the window."""
        self.open = False
        self._seconds = monotonic() - self._opened
        self._others = self._others_seconds() - self._others
        self._cpu = {name: cpu_seconds(pid) - self._cpu[name] for name, pid in self._watch.items()}

    def _others_seconds(self) -> float:
        ours = {os.getpid(), *self._watch.values()}
        return machine_seconds() - sum(cpu_seconds(pid) for pid in ours)

    def error(self, kind: str, *, streamed: bool) -> None:
        self.errors[kind] += 1
        if streamed:
            self.broken += 1

    def report(self) -> Report:
        seconds = self._seconds
        return Report(
            seconds=round(seconds, 3),
            requests=len(self.latencies),
            requests_per_second=round(len(self.latencies) / seconds, 1),
            latency=spread(self.latencies),
            first_token=spread(self.first_tokens),
            chunks=self.chunks,
            reads=self.reads,
            chunks_per_second=round(self.chunks / seconds, 1),
            gap=spread(self.gaps),
            streams_held=self.held,
            streams_whole=self.whole,
            broken=self.broken,
            errors=dict(self.errors),
            cpu={name: round(used, 3) for name, used in self._cpu.items()},
            others=round(max(self._others, 0.0) / seconds, 3),
        )
