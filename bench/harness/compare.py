"""`llm-proxy bench compare A.json B.json`: what changed from A to B, and what is only noise.

For every scenario, target and figure that both have: the medians and their ratio. A change counts
when it is larger than 3 % and the ranges of the repetitions do not meet; it is then `better` or
`worse`. With one repetition a range is not known, and 10 % are asked for.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.harness.figures import FIGURES, shown
from bench.harness.results import NoResults, Results, read
from bench.harness.show import number
from bench.table import table

_LEAST = 0.03
_LEAST_OF_ONE = 0.10


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both runs."""

    scenario: str
    target: str
    figure: str
    before: list[float]
    after: list[float]

    @property
    def ratio(self) -> float:
        """After to before; infinite where there was nothing before."""
        was, now = median(self.before), median(self.after)
        if was:
            return now / was
        return 1.0 if now == was else float("inf")

    @property
    def real(self) -> bool:
        """Whether it is beyond noise."""
        once = min(len(self.before), len(self.after)) == 1
        apart = max(self.before) < min(self.after) or max(self.after) < min(self.before)
        return apart and abs(self.ratio - 1) > (_LEAST_OF_ONE if once else _LEAST)

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `other`, or nothing for noise."""
        if not self.real:
            return ""
        better = FIGURES[self.figure].better
        if better == "neither":
            return "other"
        less = median(self.after) < median(self.before)
        return "better" if less == (better == "less") else "worse"


def changes(before: Results, after: Results) -> Iterator[Change]:
    """All figures that both have."""
    for scenario, row in before.scenarios.items():
        if scenario not in after.scenarios:
            continue
        for target in before.measured(scenario):
            for figure in shown(streamed=bool(row["streamed"])):
                was = before.values(scenario, target, figure)
                now = after.values(scenario, target, figure)
                if was and now:
                    yield Change(scenario, target, figure, was, now)


def text(before: Results, after: Results) -> str:
    """The table."""
    rows = [["", "before", "after", "ratio", ""]]
    for one in changes(before, after):
        place = f"{one.scenario} {one.target} {FIGURES[one.figure].brief}"
        was, now = median(one.before), median(one.after)
        if was or now:
            rows.append([place, number(was), number(now), f"{one.ratio:.2f}", one.verdict])
    found = [one.verdict for one in changes(before, after)]
    summary = f"{found.count('better')} better, {found.count('worse')} worse, beyond noise"
    return f"{table(rows)}\n\n{summary}"


def main(arguments: list[str]) -> int:
    """Exit status: 0 nothing is worse, 1 something is, 2 it cannot be compared."""
    options = argparse.ArgumentParser(prog="llm-proxy bench compare", description=__doc__)
    options.add_argument("before", type=Path, metavar="A.json")
    options.add_argument("after", type=Path, metavar="B.json")
    given = options.parse_args(arguments)
    try:
        before, after = read(given.before), read(given.after)
    except NoResults as failure:
        options.error(str(failure))
    print(text(before, after))
    return 1 if any(one.verdict == "worse" for one in changes(before, after)) else 0
