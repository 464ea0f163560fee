"""Measures one scenario against one target: starts the load processes, watches, puts together.

All load processes open and close their windows at the same two moments, at which the CPU of the
server's processes is read here. Between them memory and CPU are sampled. Bounded in time: a load
process that says nothing for too long is ended, and so is everything when the run is broken off.
"""

import os
import select
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.children import Child, ChildFailed
from bench.harness.figures import figures
from bench.harness.loader import Job
from bench.harness.loops import Times
from bench.harness.recorder import Recorder
from bench.harness.results import Measurement, Sample
from bench.harness.scenarios import Scenario
from bench.harness.watch import Reading, read, resident, resident_of, settle, tree_seconds
from proxy.base.clock import monotonic
from proxy.base.jsonio import dumps, loads

START = 0.7
"""Seconds that a load process needs to start, and then some."""
_LAST = 20.0  # After the window it may take so long to end.
_LOOK = 0.25
_SETTLE = 15.0


@dataclass(frozen=True, slots=True)
class Target:
    """A server. `root`: the top of its processes, where it runs here; `judged`: that of them which
    is judged, None: the busiest."""

    name: str
    url: str
    key: str
    model: str | None = None
    judged: int | None = None
    root: int | None = None
    about: str = ""
    verify: bool = True
    prefix: str = ""  # Of the names of models.
    headers: dict[str, str] = field(default_factory=dict)
    config: str = ""  # How it was started and configured, for whoever doubts.


WARMUP = 0.7
"""Seconds of load before the window, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard is measured. `beside`: processes of the run that are no server under test."""

    cores: Sequence[int]
    seconds: float = 2.5
    warmup: float = WARMUP
    silence: float = 30.0
    processes: int = 1
    beside: Sequence[int] = ()


Look = Callable[[float, Sample], None]
"""Told the part of the time that is over, and where everything stands."""


def measure(
    target: Target, scenario: Scenario, repetition: int, effort: Effort, look: Look
) -> Measurement:
    """Make the load once. Raises ChildFailed."""
    begins = monotonic() + START
    opens = begins + scenario.shape.ramp + effort.warmup
    times = Times(begins, opens, opens + effort.seconds, effort.silence)
    scenario = scenario.lasting(times.closes - begins)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-proxy-load-")))
        loaders = []
        for number in range(effort.processes):
            shape = scenario.shape.part(effort.processes)
            part = replace(scenario, shape=shape)
            seed = 1 + number + 1000 * repetition
            job = Job(
                target.url,
                target.key,
                target.model,
                part,
                times,
                seed=seed,
                verify=target.verify,
                prefix=target.prefix,
                headers=target.headers,
            )
            loaders.append(stack.enter_context(_start(folder / f"{number}.json", job, effort)))
        watch = _Watch(target, times, [*effort.beside, os.getpid()], loaders)
        recorder = watch.until_all_ended(look)
    backlog = settle(target.root, _SETTLE) if target.root is not None else None
    found = figures(
        recorder, watch.before, watch.after, streamed=scenario.streamed, backlog=backlog
    )
    if watch.series and target.root is not None:
        found["rss_mb"] = max(sample.rss_mb for sample in watch.series)
    if target.judged is not None:
        seen = (sample.worker_mb for sample in watch.series)
        found["worker_mb"] = max(resident_of(target.judged), *seen)
    if scenario.held:
        found["held"] = float(recorder.held)
    return Measurement(scenario.name, target.name, repetition, found, recorder, watch.series)


def _start(path: Path, job: Job, effort: Effort) -> Child:
    path.touch(mode=0o600)
    path.write_bytes(dumps(job.as_json()))
    return Child("load", ["-m", "bench.harness.loader", str(path)], cores=effort.cores)


class _Watch:
    """Reads what load processes say and what the server uses, until all of them have ended."""

    def __init__(
        self, target: Target, times: Times, ours: Sequence[int], loaders: Sequence[Child]
    ) -> None:
        self._target = target
        self._times = times
        self._ours = [*ours, *(loader.pid for loader in loaders)]
        self._lines = {loader: _Lines(loader) for loader in loaders}
        self._last: dict[Child, dict[str, int]] = {}
        self._reports: list[Recorder] = []
        self._cpu = 0.0
        self._looked = 0.0
        self.before = self._read()
        self.after = self.before
        self.series: list[Sample] = []

    def until_all_ended(self, look: Look) -> Recorder:
        """What all of them saw. Raises ChildFailed."""
        times = self._times
        due = [times.opens, times.closes]
        next_look = times.begins
        while len(self._reports) < len(self._lines):
            now = monotonic()
            if due and now >= due[0]:
                self._pass(due.pop(0))
            if now >= next_look:
                next_look = now + 2 * _LOOK
                look(self._share(now), self._sample(now))
            if now > times.closes + _LAST:
                raise ChildFailed("load: did not end in time")
            wait = min([_LOOK, *(max(each - now, 0.0) for each in due)])
            self._listen(wait)
        for moment in due:  # A busy machine told us late: what came after was idle.
            self._pass(moment)
        whole = self._reports[0]
        for report in self._reports[1:]:
            whole.add(report)
        return whole

    def _read(self) -> Reading:
        return read(self._target.judged, self._target.root, self._ours)

    def _pass(self, moment: float) -> None:
        if moment == self._times.opens:
            self.before = self._read()
        else:
            self.after = self._read()

    def _share(self, now: float) -> float:
        times = self._times
        return min((now - times.begins) / (times.closes - times.begins), 1.0)

    def _sample(self, now: float) -> Sample:
        root, judged = self._target.root, self._target.judged
        used = tree_seconds(root) if root is not None else 0.0
        cores = (used - self._cpu) / (now - self._looked) if self._looked else 0.0
        self._cpu, self._looked = used, now
        sums = {
            name: sum(each.get(name, 0) for each in self._last.values())
            for name in ("answers", "errors", "chunks")
        }
        sample = Sample(
            at=round(now - self._times.begins, 2),
            rss_mb=round(resident(root), 1) if root is not None else 0.0,
            cores=round(cores, 2),
            worker_mb=round(resident_of(judged), 1) if judged is not None else 0.0,
            **sums,
        )
        self.series.append(sample)
        return sample

    def _listen(self, wait: float) -> None:
        open_lines = [lines for lines in self._lines.values() if not lines.ended]
        ready, _, _ = select.select(open_lines, [], [], wait)
        for lines in ready:
            for line in lines.read():
                if "report" in line:
                    self._reports.append(Recorder.from_json(line["report"]))
                else:
                    self._last[lines.child] = line["progress"]


class _Lines:
    """What a child prints, as it comes."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.ended = False
        self._rest = b""

    def fileno(self) -> int:
        return self.child.output()

    def read(self) -> list[dict[str, Any]]:
        """The whole lines that have come. Raises ChildFailed where it ended without a report."""
        data = os.read(self.fileno(), 1 << 20)
        if not data:
            raise ChildFailed(f"{self.child.name}: {self.child.why()}")
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = [loads(line) for line in lines]
        self.ended = any("report" in line for line in found)
        return found
