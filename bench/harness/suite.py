"""A whole run: every scenario against every target, so often, in turn, and what came out.

Targets alternate within a repetition and begin with another one in the next, so that a slow minute
of the machine slows all of them. A measurement during which something else kept the machine busy
is made again, as long as there are retries left, and the quietest counts. Broken off, a run keeps
what it has measured.
"""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bench.harness.figures import DISTURBED
from bench.harness.progress import Progress
from bench.harness.results import DIRECT, Measurement, Results
from bench.harness.run import Effort, Target, measure
from bench.harness.scenarios import Scenario
from bench.harness.stand import machine


@dataclass(frozen=True, slots=True)
class Suite:
    """What is measured, and how often. `command`: how it was asked for, without keys."""

    targets: Sequence[Target]
    scenarios: Sequence[Scenario]
    repeat: int
    effort: Effort
    command: Sequence[str]
    retries: int = 0

    @property
    def steps(self) -> int:
        return len(self.targets) * len(self.scenarios) * self.repeat

    def run(self, found: list[Measurement], progress: Progress) -> None:
        """Put each measurement into `found` as it is made. Raises ChildFailed."""
        left = self.retries
        for scenario in self.scenarios:
            for number in range(self.repeat):
                turn = number % len(self.targets)
                for target in [*self.targets[turn:], *self.targets[:turn]]:
                    again = f" {number + 1}/{self.repeat}" if self.repeat > 1 else ""
                    progress.start(f"{scenario.name}{again} {target.name}")
                    one = measure(target, scenario, number, self.effort, progress.look)
                    if left and _disturbed(one):
                        left -= 1
                        other = measure(target, scenario, number, self.effort, progress.look)
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
            "seconds": self.effort.seconds,
            "repetitions": self.repeat,
            "load_processes": self.effort.processes,
            **machine(),
        }
        measured = {one.scenario for one in found}
        kept = {name: row for name, row in scenarios.items() if name in measured}
        return Results(made, targets, kept, found)


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
        "asked": asdict(scenario.shape),
    }


def wrong(results: Results) -> int:
    """Answers that were wrong, of all targets but the one that the others are measured against."""
    found = [one for one in results.measurements if one.target != DIRECT]
    return sum(one.recorder.errors.total() for one in found or results.measurements)
