"""The scenarios: each measures one target once and gives numbers by name.

Every number is of one run of the load generator, or of one start of a process. What is compared,
how often and against which goal is `figures.py`'s business; here is only how it is measured.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import answers
from bench.children import Child
from bench.measure import memory
from bench.tally import Report
from bench.targets import Running, Start
from proxy.base.clock import monotonic

Numbers = dict[str, float]

CONCURRENCY = 64
PACED_STREAMS = 500
HELD_STREAMS = 2000
_SETTLE = 1.0
_LOAD_LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Bench:
    """How load is made: the cores it may use and how long a window is."""

    cores: Sequence[int]
    seconds: float
    vendor: Running

    def load(self, target: Running, arguments: Sequence[str]) -> Report:
        """Run the load generator against the target."""
        watched = {**target.watched(), "vendor": self.vendor.pid}
        watch = [f"--watch={name}={pid}" for name, pid in watched.items()]
        command = ["-m", "bench.load", "--url", target.url, *watch, *arguments]
        command += ["--seconds", str(self.seconds)]
        with Child("load", command, cores=self.cores) as child:
            return Report.from_json(child.line(self.seconds + _LOAD_LIMIT))


def _tree_cpu(report: Report) -> float:
    return sum(used for name, used in report.cpu.items() if name.startswith("tree"))


def chat(bench: Bench, target: Running) -> Numbers:
    """CPU per request that is not streamed: 1 kB body, keep-alive, closed loop."""
    length = str(len(answers.CHAT_BODY))
    arguments = ["chat", "--concurrency", str(CONCURRENCY), "--body", "1", "--length", length]
    report = bench.load(target, arguments)
    done = max(report.requests, 1)
    return {
        "cpu_us": report.cpu["judged"] / done * 1e6,
        "tree_cpu_us": _tree_cpu(report) / done * 1e6,
        "requests_per_second": report.requests_per_second,
        "p50_ms": report.latency.p50 if report.latency else 0.0,
        "p99_ms": report.latency.p99 if report.latency else 0.0,
        "wrong": sum(report.errors.values()),
        "others": report.others,
    }


def _held(bench: Bench, target: Running, streams: int, pace: int, ramp: float) -> Numbers:
    arguments = ["held", "--streams", str(streams), "--pace", str(pace), "--ramp", str(ramp)]
    report = bench.load(target, arguments)
    done = max(report.chunks, 1)
    return {
        "cpu_us": report.cpu["judged"] / done * 1e6,
        "tree_cpu_us": _tree_cpu(report) / done * 1e6,
        "chunks_per_second": report.chunks_per_second,
        "chunks_per_read": done / max(report.reads, 1),
        "first_token_p99_ms": report.first_token.p99 if report.first_token else 0.0,
        "gap_p99_ms": report.gap.p99 if report.gap else 0.0,
        "held": report.streams_held,
        "whole": report.streams_whole,
        "broken": report.broken,
        "wrong": sum(report.errors.values()),
        "others": report.others,
    }


def chunks(bench: Bench, target: Running) -> Numbers:
    """CPU per streamed chunk: streams that last through the window, a chunk each 20 ms."""
    return _held(bench, target, PACED_STREAMS, 20, 2.0)


def held(bench: Bench, target: Running) -> Numbers:
    """As many streams at once as one worker must hold, a chunk each 100 ms."""
    return _held(bench, target, HELD_STREAMS, 100, 4.0)


Scenario = Callable[[Bench, Running], Numbers]


def cold(vendor: Running, start: Start, cores: Sequence[int], folder: Path) -> Numbers:
    """From the start of the process to its first good answer; then memory, idle."""
    with ExitStack() as stack:
        began = monotonic()
        target = start(stack, vendor, cores, folder)
        seconds = monotonic() - began
        time.sleep(_SETTLE)
        used = memory(target.pid)
    return {"start_s": seconds, "rss_mb": used.rss, "pss_mb": used.pss}
