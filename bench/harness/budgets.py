"""Budgets: what a figure may be at most, alone or as a ratio to another target's in the same run.

They stand in a file of TOML (`bench/budgets.toml` is ours). One is exceeded when its median is
above the limit by more than its noise: half the range of the repetitions, and 3 % at least.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

from bench.harness.figures import FIGURES
from bench.harness.results import Results
from bench.harness.scenarios import SCENARIOS
from bench.harness.show import number
from bench.table import table

_LEAST_NOISE = 0.03


class BadBudgets(Exception):
    """A file of budgets that cannot be used."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One row. `to`: the target that it is a ratio to; None: the figure itself."""

    scenario: str
    figure: str
    of: str
    most: float
    to: str | None = None

    def words(self) -> str:
        ratio = f" / {self.to}" if self.to else ""
        return f"{self.scenario} {FIGURES[self.figure].brief}, {self.of}{ratio}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one."""

    budget: Budget
    found: float
    noise: float

    @property
    def kept(self) -> bool:
        return self.found - self.noise <= self.budget.most


def read(path: Path) -> list[Budget]:
    """The budgets of a file. Raises BadBudgets, naming what is wrong."""
    try:
        rows = tomllib.loads(path.read_text())["budget"]
        found = [Budget(**row) for row in rows]
    except OSError as error:
        raise BadBudgets(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise BadBudgets(f"{path}: {error}") from None
    for budget in found:
        if budget.scenario not in SCENARIOS or budget.figure not in FIGURES:
            known = ", ".join(field.name for field in fields(Budget))
            raise BadBudgets(f"{path}: unknown scenario or figure in {budget} ({known})")
    return found


def judge(results: Results, budgets: Sequence[Budget]) -> list[Verdict]:
    """Those that the run can tell something about."""
    verdicts = []
    for budget in budgets:
        values = _values(results, budget)
        if values:
            noise = max((max(values) - min(values)) / 2, budget.most * _LEAST_NOISE)
            verdicts.append(Verdict(budget, median(values), noise))
    return verdicts


def _values(results: Results, budget: Budget) -> list[float]:
    mine = results.values(budget.scenario, budget.of, budget.figure)
    if budget.to is None:
        return mine
    its = results.values(budget.scenario, budget.to, budget.figure)
    return [a / b for a, b in zip(mine, its, strict=False) if b]


def table_of(verdicts: Sequence[Verdict]) -> str:
    """For a terminal."""
    rows = [["budget", "most", "found", "noise", ""]]
    for each in verdicts:
        kept = "ok" if each.kept else "EXCEEDED"
        if each.kept and each.found > each.budget.most:
            kept = "within noise"
        limit = number(each.budget.most)
        rows.append([each.budget.words(), limit, number(each.found), number(each.noise), kept])
    return table(rows)
