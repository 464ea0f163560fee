"""Budgets: what a figure may be, alone or as a ratio to another target's in the same run.

They stand in a file of TOML (`bench/budgets.toml` is ours: the goals of a run). One is missed when
its median is beyond the limit by more than its noise: half the range of the repetitions, and 3 % at
least; with `worst` when a single repetition is. Where chunks arrived together a ratio of CPU says
nothing, because a server that is late makes each chunk look cheap: such repetitions are left out.
A figure that should be there and is not is a miss; a target that is not in the run is none.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any, Literal

from bench.harness.figures import FIGURES
from bench.harness.results import Results
from bench.harness.scenarios import SCENARIOS
from bench.harness.show import number
from bench.table import table

OURS = Path(__file__).parent.parent / "budgets.toml"
State = Literal[
    "reached", "within noise", "MISSED", "no figure", "late", "not in this run", "not measured"
]
_FAILS = frozenset(("MISSED", "no figure", "late"))
_LEAST_NOISE = 0.03
JOINED = 1.1
"""Chunks in a read, above which a server was late."""


class BadBudgets(Exception):
    """A file of budgets that cannot be used."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One row, with `most` or `least`. `to`: the target that it is a ratio to; None: the figure
    itself. `says`: what it is, for people."""

    scenario: str
    figure: str
    of: str
    most: float | None = None
    least: float | None = None
    to: str | None = None
    worst: bool = False
    says: str = ""

    @property
    def limit(self) -> float:
        limit = self.most if self.most is not None else self.least
        assert limit is not None
        return limit

    def words(self) -> str:
        """What it is about."""
        return self.says or f"{FIGURES[self.figure].words}, {self.of}"

    def place(self) -> str:
        """Which figure it is."""
        ratio = f" / {self.to}" if self.to else ""
        return f"{self.scenario} {FIGURES[self.figure].brief}, {self.of}{ratio}"

    def goal(self) -> str:
        sign = "≤" if self.most is not None else "≥"
        return f"{sign} {number(self.limit)}{f' of {self.to}' if self.to else ''}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one. `found` and `noise` mean nothing where nothing was measured."""

    budget: Budget
    state: State
    found: float = 0.0
    noise: float = 0.0

    @property
    def kept(self) -> bool:
        return self.state not in _FAILS

    @property
    def reached(self) -> bool | None:
        """None: nobody can say."""
        if self.state in ("not in this run", "not measured"):
            return None
        return self.state == "reached"

    def result(self) -> str:
        """What was found, for people."""
        if self.reached is None or self.state in ("no figure", "late"):
            return ""
        spread = f" ±{number(self.noise)}" if self.noise > abs(self.found) * 0.005 else ""
        return f"{number(self.found)}{spread}"


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
        if (budget.most is None) == (budget.least is None):
            raise BadBudgets(f"{path}: neither or both of most and least in {budget}")
    return found


def as_rows(budgets: Sequence[Budget]) -> list[dict[str, Any]]:
    """As results keep them."""
    return [asdict(budget) for budget in budgets]


def verdicts(results: Results) -> list[Verdict]:
    """What came of those that the run was made for."""
    return judge(results, [Budget(**row) for row in results.budgets])


def judge(results: Results, budgets: Sequence[Budget]) -> list[Verdict]:
    """A verdict for each."""
    return [_judge(results, budget) for budget in budgets]


def _judge(results: Results, budget: Budget) -> Verdict:
    names = [budget.of, *([budget.to] if budget.to else [])]
    if any(name not in results.targets for name in names):
        return Verdict(budget, "not in this run")
    if not all(results.of(budget.scenario, name) for name in names):
        return Verdict(budget, "not measured")
    if budget.to is None:
        values = results.values(budget.scenario, budget.of, budget.figure)
    else:
        values = _ratios(results, budget, budget.to)
        if not values and _late(results, budget):
            return Verdict(budget, "late")
    if not values:
        return Verdict(budget, "no figure")
    return _verdict(budget, values)


def _verdict(budget: Budget, values: list[float]) -> Verdict:
    less = budget.most is not None
    spread = (max(values) - min(values)) / 2
    if budget.worst:
        found, slack = max(values) if less else min(values), 0.0
    else:
        found, slack = median(values), max(spread, budget.limit * _LEAST_NOISE)
    over = found - budget.limit if less else budget.limit - found
    state: State = "reached" if over <= 0 else "within noise" if over <= slack else "MISSED"
    return Verdict(budget, state, found, 0.0 if budget.worst else spread)


def _ratios(results: Results, budget: Budget, to: str) -> list[float]:
    """In each repetition that both have, and in which neither was late."""
    late = {
        one.repetition
        for name in (budget.of, to)
        for one in results.of(budget.scenario, name)
        if _joined(one.figures)
    }
    mine = results.each(budget.scenario, budget.of, budget.figure)
    its = results.each(budget.scenario, to, budget.figure)
    return [
        value / its[number]
        for number, value in mine.items()
        if its.get(number) and number not in late
    ]


def _joined(figures: dict[str, float]) -> bool:
    return figures.get("chunks_per_read", 1.0) > JOINED


def _late(results: Results, budget: Budget) -> bool:
    names = (budget.of, budget.to or budget.of)
    return any(_joined(one.figures) for name in names for one in results.of(budget.scenario, name))


def table_of(verdicts: Sequence[Verdict]) -> str:
    """For a terminal."""
    rows = [["goals", "goal", "found", ""]]
    rows += [[each.budget.words(), each.budget.goal(), each.result(), each.state]
             for each in verdicts]  # fmt: skip
    return table(rows)


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many of them, in words."""
    missed = [each for each in verdicts if each.reached is False]
    judged = sum(each.reached is not None for each in verdicts)
    noise = sum(each.state == "within noise" for each in missed)
    text = f"{judged - len(missed)} of {judged} goals reached"
    if missed:
        text += f", {len(missed)} missed" + (f" ({noise} within noise)" if noise else "")
    return f"{text}, {len(verdicts) - judged} not measured" if judged < len(verdicts) else text
