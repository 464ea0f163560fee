"""What has to be asked of the books, and which thresholds the answers pass. Pure.

Budgets of one kind of scope and one window share a question. A window that ended is looked at for a
while longer: records come late, after an outage of the store by hours.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from proxy.base.periods import Span, before, span
from proxy.core.alerts import Question, WatchedBudget
from proxy.core.quota import Scope
from proxy.core.spending import known_as

_MOST_WINDOWS = 40


class Crossing(NamedTuple):
    """A percent of a budget that is spent. `scope`: the budget's, or one that `each` stands for."""

    budget: WatchedBudget
    scope: Scope
    window: Span
    percent: int
    spent: int

    @property
    def key(self) -> tuple[Scope, str, int, int]:
        """What makes it one alert."""
        return self.scope, self.budget.rule, self.window.start, self.percent


def windows(budget: WatchedBudget, now: float, reach: float) -> list[Span]:
    """The window of now, and those before it that did not end before `reach`."""
    found = [span(budget.period, budget.zone, now)]
    while found[-1].start > reach and len(found) < _MOST_WINDOWS:
        earlier = before(budget.period, budget.zone, found[-1])
        if earlier is None:
            break
        found.append(earlier)
    return found


def needed(budget: WatchedBudget, percent: int) -> int:
    """The nano-USD at which that percent of the amount is spent."""
    return -(-budget.amount * percent // 100)


Subject = tuple[WatchedBudget, Span]


def questions(subjects: Iterable[Subject]) -> list[tuple[Question, list[Subject]]]:
    """What to ask, and about whom each answer is."""
    groups: dict[tuple[str, Span], list[Subject]] = {}
    for subject in subjects:
        budget, window = subject
        groups.setdefault((budget.scope.kind, window), []).append(subject)
    return [(_question(group), group) for group in groups.values()]


def _question(group: Sequence[Subject]) -> Question:
    budget, window = group[0]
    least = min(needed(each, min(each.percents)) for each, _ in group)
    names = None
    if all(each.each is None for each, _ in group):
        names = tuple(sorted({known_as(each.scope).name for each, _ in group}))
    return Question(budget.scope.kind, window, least, names)


def crossings(subject: Subject, spent: Mapping[str, int]) -> Iterator[Crossing]:
    """The thresholds that are passed, by what each scope of the kind has spent."""
    budget, window = subject
    if budget.each is None:
        amounts = {budget.scope.name: spent.get(known_as(budget.scope).name, 0)}
    else:
        amounts = {name: amount for name, amount in spent.items() if name.endswith(budget.each)}
    for name, amount in amounts.items():
        for percent in sorted(budget.percents):
            if amount >= needed(budget, percent):
                yield Crossing(budget, Scope(budget.scope.kind, name), window, percent, amount)
