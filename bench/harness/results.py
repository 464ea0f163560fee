"""What a run found, in memory and in its file: measurements, what was measured, on what.

A figure is one number of one measurement; what is shown is the median of the repetitions, with
their range. `added_…` figures are those of a target less those of `direct` in the same repetition.
The file is JSON with a format number; histograms are kept, so that a report can be drawn from it.
"""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from bench.harness.histogram import Histogram
from bench.harness.recorder import Recorder
from proxy.base.jsonio import JSONError, dumps, loads

FORMAT = 1
DIRECT = "direct"
_ADDED = {"added_p50_ms": "p50_ms", "added_p99_ms": "p99_ms"}


class NoResults(Exception):
    """A file that is none of ours."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Where everything stood, `at` seconds after the first request. `cores`: of the tree."""

    at: float
    answers: int
    errors: int
    chunks: int
    rss_mb: float
    cores: float
    worker_mb: float = 0.0  # Of the process that is judged.


@dataclass(frozen=True)
class Measurement:
    """One scenario against one target, once."""

    scenario: str
    target: str
    repetition: int
    figures: dict[str, float]
    recorder: Recorder
    series: list[Sample] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "target": self.target,
            "repetition": self.repetition,
            "figures": self.figures,
            "seen": self.recorder.as_json(),
            "series": [asdict(sample) for sample in self.series],
        }

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Measurement":
        return cls(
            given["scenario"],
            given["target"],
            given["repetition"],
            given["figures"],
            Recorder.from_json(given["seen"]),
            [Sample(**sample) for sample in given["series"]],
        )


@dataclass(frozen=True)
class Results:
    """A whole run. `targets` and `scenarios`: what each name stands for, in order; `budgets`: what
    it was to reach, as rows of their file."""

    made: dict[str, Any]
    targets: dict[str, dict[str, str]]
    scenarios: dict[str, dict[str, Any]]
    measurements: list[Measurement]
    budgets: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], list[Measurement]]:
        found: dict[tuple[str, str], list[Measurement]] = {}
        for one in self.measurements:
            found.setdefault((one.scenario, one.target), []).append(one)
        return found

    def of(self, scenario: str, target: str) -> list[Measurement]:
        """The repetitions."""
        return self._by_place.get((scenario, target), [])

    def measured(self, scenario: str) -> list[str]:
        """The targets that the scenario was measured against, in order."""
        return [name for name in self.targets if self.of(scenario, name)]

    def values(self, scenario: str, target: str, figure: str) -> list[float]:
        """The figure in each repetition; empty where it has no meaning."""
        return list(self.each(scenario, target, figure).values())

    def each(self, scenario: str, target: str, figure: str) -> dict[int, float]:
        """The same by repetition."""
        runs = self.of(scenario, target)
        if figure not in _ADDED:
            return {run.repetition: run.figures[figure] for run in runs if figure in run.figures}
        if target == DIRECT:
            return {}
        mine = self.each(scenario, target, _ADDED[figure])
        direct = self.each(scenario, DIRECT, _ADDED[figure])
        return {number: mine[number] - direct[number] for number in mine if number in direct}

    def middle(self, scenario: str, target: str, figure: str) -> float | None:
        """The median of the repetitions."""
        values = self.values(scenario, target, figure)
        return median(values) if values else None

    def latencies(self, scenario: str, target: str) -> Histogram:
        """Of all repetitions together."""
        whole = Histogram()
        for run in self.of(scenario, target):
            whole.add(run.recorder.latencies)
        return whole

    def write(self, path: Path) -> None:
        """Keep it as a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            dumps({
                "format": FORMAT,
                "made": self.made,
                "targets": self.targets,
                "scenarios": self.scenarios,
                "measurements": [one.as_json() for one in self.measurements],
                "budgets": self.budgets,
            })
        )  # fmt: skip


def read(path: Path) -> Results:
    """What `write` kept. Raises NoResults."""
    try:
        given = loads(path.read_bytes())
        if given["format"] != FORMAT:
            raise NoResults(f"{path}: format {given['format']}, not {FORMAT}")
        found = [Measurement.from_json(one) for one in given["measurements"]]
        budgets = given.get("budgets", [])
        return Results(given["made"], given["targets"], given["scenarios"], found, budgets)
    except OSError as error:
        raise NoResults(f"{path}: {error.strerror}") from None
    except (JSONError, KeyError, TypeError, ValueError, IndexError):
        raise NoResults(f"{path} has no results of `llm-proxy bench`") from None
