"""How a run goes, while it goes: one line that is written over on a terminal, plain lines else."""

import sys
from dataclasses import dataclass
from typing import TextIO

from bench.harness.results import Measurement, Sample
from proxy.base.clock import monotonic

_WIDTH = 24
_CLEAR = "\r\x1b[K"


def bar(share: float) -> str:
    """A bar of which this part is full."""
    full = round(min(max(share, 0.0), 1.0) * _WIDTH)
    return "━" * full + "╌" * (_WIDTH - full)


@dataclass(slots=True)
class Progress:
    """Where the whole run is: `steps` measurements, of which `done` are made."""

    steps: int
    out: TextIO
    done: int = 0
    label: str = ""
    began: float = 0.0
    last: Sample | None = None

    def start(self, label: str) -> None:
        """The next measurement begins."""
        self.began = self.began or monotonic()
        self.label = label
        self.last = None

    def look(self, share: float, now: Sample) -> None:
        """Where it stands."""
        before, self.last = self.last, now
        if not self.out.isatty():
            return
        rate = 0.0
        if before is not None and now.at > before.at:
            rate = (now.answers - before.answers) / (now.at - before.at)
        wrong = f", {now.errors} WRONG" if now.errors else ""
        memory = f", {now.rss_mb:.0f} MB" if now.rss_mb else ""
        whole = (self.done + share) / self.steps
        text = f"{bar(whole)} {whole:4.0%} {self.label}: {rate:,.0f}/s{memory}{wrong}"
        self.out.write(f"{_CLEAR}{text}")
        self.out.flush()

    def end(self, found: Measurement) -> None:
        """A measurement is made."""
        self.done += 1
        figures = found.figures
        parts = [f"{figures['requests_per_second']:,.0f}/s"]
        if "chunks_per_second" in figures:
            parts = [f"{figures['chunks_per_second']:,.0f} chunks/s"]
        if "p99_ms" in figures and "chunks_per_second" not in figures:
            parts.append(f"p50 {figures['p50_ms']:.3g} ms, p99 {figures['p99_ms']:.3g} ms")
        if "cpu_us" in figures:
            parts.append(f"CPU {figures['cpu_us']:.1f} us")
        if figures["wrong"]:
            parts.append(f"{figures['wrong']:.0f} WRONG")
        if figures["late_share"] > 0.01:
            parts.append(f"{figures['late_share']:.0%} sent late")
        clear = _CLEAR if self.out.isatty() else ""
        took = monotonic() - self.began
        line = f"[{took:4.0f} s] {self.done}/{self.steps} {self.label}: {', '.join(parts)}"
        self.out.write(f"{clear}{line}\n")
        self.out.flush()


def on_stderr(steps: int) -> Progress:
    """So that what is written to stdout is the result alone."""
    return Progress(steps, sys.stderr)
