"""What one load process saw: counts and histograms, and the report that they make.

Figures are of the window: answers that came, chunks that came, requests that were due within it.
What was wrong counts from first to last, so that nothing hides in the warm-up. Reports of several
processes add up.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bench.harness.histogram import Histogram

LATE = 0.001
"""Seconds after it was due, from which a request counts as sent late."""


@dataclass(slots=True)
class Recorder:
    """The running counts of one load process; `open` while the window is."""

    open: bool = False
    answers: int = 0
    chunks: int = 0
    reads: int = 0
    whole: int = 0
    broken: int = 0
    sent: int = 0
    late: int = 0
    unfinished: int = 0
    held: int = 0  # Streams that flowed when the window closed.
    seconds: float = 0.0
    all_answers: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies: Histogram = field(default_factory=Histogram)
    first_tokens: Histogram = field(default_factory=Histogram)
    gaps: Histogram = field(default_factory=Histogram)

    def error(self, kind: str, *, streamed: bool) -> None:
        """Count what was wrong with an answer, or why there was none."""
        self.errors[kind] += 1
        if streamed:
            self.broken += 1

    def progress(self) -> dict[str, Any]:
        """Where it stands, from the very first request."""
        return {
            "answers": self.all_answers,
            "chunks": self.chunks,
            "errors": self.errors.total(),
        }

    def as_json(self) -> dict[str, Any]:
        """All of it, in a form for pipes."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        samples = {name: getattr(self, name).as_json() for name in _SAMPLES}
        return {**numbers, **samples, "errors": dict(self.errors)}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Recorder":
        """What `as_json` gave."""
        samples = {name: Histogram.from_json(given[name]) for name in _SAMPLES}
        made = cls(errors=Counter(given["errors"]))
        for name in _NUMBERS:
            setattr(made, name, given.get(name, 0))
        for name, sample in samples.items():
            setattr(made, name, sample)
        return made

    def add(self, other: "Recorder") -> None:
        """Count what another process saw in the same window as well."""
        for name in _NUMBERS:
            if name != "seconds":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _SAMPLES:
            getattr(self, name).add(getattr(other, name))
        self.errors += other.errors


_NUMBERS = (
    "answers", "chunks", "reads", "whole", "broken", "sent", "late", "unfinished", "seconds",
    "all_answers", "held",
)  # fmt: skip
_SAMPLES = ("latencies", "first_tokens", "gaps")
