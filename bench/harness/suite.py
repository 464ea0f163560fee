"""A whole run: every scenario against every target, so often, in turn, and what came out.

Targets alternate within a repetition and begin with another one in the next, so that a slow minute
of the machine slows all of them. A measurement during which something else kept the machine busy
is made again, as long as there are retries left, and the quietest counts. Broken off, a run keeps
what it has measured. Windows and repetitions are those of each scenario unless others are wanted.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bench.answers import read_plan
from bench.harness.figures import DISTURBED
from bench.harness.progress import Progress
from bench.harness.results import DIRECT, Measurement, Results
from bench.harness.run import START, Effort, Look, Target, measure
from bench.harness.scenarios import Scenario
from bench.harness.stand import machine

Measure = Callable[[Target, Scenario, int, Effort, Look], Measurement]
_SETTLES = 0.6
_COLD = 3.0
_SLOWEST = 3500.0
"""Seconds until a server is done after a load, and for a start and its end; requests a second."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What is measured, and how often. `command`: how it was asked for, without keys. `cold`
    measures servers of its own. `budgets`: what is to be reached, as rows of their file."""

    targets: Sequence[Target]
    scenarios: Sequence[Scenario]
    effort: Effort
    command: Sequence[str]
    retries: int = 0
    cold: Measure | None = None
    budgets: Sequence[dict[str, Any]] = ()

    @property
    def steps(self) -> int:
        return sum(1 for scenario in self.scenarios for _ in self._turns(scenario))

    @property
    def seconds(self) -> float:
        """How long it will take, about."""
        return sum(
            _expected(scenario, self.effort)
            for scenario in self.scenarios
            for _ in self._turns(scenario)
        )

    def _turns(self, scenario: Scenario) -> Iterator[tuple[int, Target]]:
        """Repetitions and targets, in order."""
        targets = [each for each in self.targets if _takes(each, scenario)]
        for number in range(scenario.repeat):
            turn = number % max(len(targets), 1)
            for target in [*targets[turn:], *targets[:turn]]:
                if not (number and target.name in scenario.once):
                    yield number, target

    def run(self, found: list[Measurement], progress: Progress) -> None:
        """Put each measurement into `found` as it is made. Raises ChildFailed."""
        left = self.retries
        for scenario in self.scenarios:
            effort = replace(self.effort, seconds=scenario.seconds)
            make = self.cold if scenario.fresh and self.cold is not None else measure
            for number, target in self._turns(scenario):
                again = f" {number + 1}/{scenario.repeat}" if scenario.repeat > 1 else ""
                progress.start(f"{scenario.name}{again} {target.name}")
                one = make(target, scenario, number, effort, progress.look)
                if left and not scenario.once and _disturbed(one):
                    left -= 1
                    other = make(target, scenario, number, effort, progress.look)
                    one = min(one, other, key=lambda each: each.figures["others"])
                found.append(one)
                progress.end(one)

    def results(self, found: list[Measurement]) -> Results:
        """All of it, with what it was made of."""
        targets = {
            each.name: {"url": each.url, "about": each.about, "config": each.config}
            for each in self.targets
        }
        scenarios = {each.name: _row(each) for each in self.scenarios}
        made: dict[str, Any] = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(["llm-proxy", "bench", *self.command]),
            "seconds": _range({each.seconds for each in self.scenarios}),
            "repetitions": _range({each.repeat for each in self.scenarios}),
            "load_processes": self.effort.processes,
            **machine(),
        }
        measured = {one.scenario for one in found}
        kept = {name: row for name, row in scenarios.items() if name in measured}
        return Results(made, targets, kept, found, list(self.budgets))


def _takes(target: Target, scenario: Scenario) -> bool:
    """Whether the scenario is for this target."""
    return not scenario.of or target.name in scenario.of


def _expected(scenario: Scenario, effort: Effort) -> float:
    """Seconds of one measurement, about."""
    whole = START + scenario.shape.ramp + effort.warmup + _SETTLES
    if scenario.fresh:
        return whole + _COLD + (scenario.shape.requests or 0) / _SLOWEST
    if scenario.held:  # The last of them to begin lasts so much longer than the window.
        return whole + scenario.seconds + scenario.shape.ramp + 2 * scenario.pace
    plan = read_plan(scenario.plan.encode()) if scenario.plan else None
    return whole + scenario.seconds + (plan.chunks * plan.pace if plan is not None else 0.0)


def _range(values: set[float]) -> str:
    least, most = min(values), max(values)
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _disturbed(one: Measurement) -> bool:
    """Where the server runs elsewhere, what keeps this machine busy may be the server itself."""
    return "cpu_us" in one.figures and one.figures["others"] > DISTURBED


def _row(scenario: Scenario) -> dict[str, Any]:
    return {
        "says": scenario.says,
        "shape": scenario.shape.words(),
        "streamed": scenario.streamed,
        "kind": scenario.kind,
        "kilobytes": scenario.kilobytes,
        "plan": scenario.plan,
        "seconds": scenario.seconds,
        "repetitions": scenario.repeat,
        "asked": asdict(scenario.shape),
    }


def wrong(results: Results) -> int:
    """Answers that were wrong, of all targets but the one that the others are measured against."""
    found = [one for one in results.measurements if one.target != DIRECT]
    return sum(one.recorder.errors.total() for one in found or results.measurements)
