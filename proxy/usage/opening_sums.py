"""Adds records of the spool to what the store has added up, question by question."""

import re
from collections.abc import Iterable, Sequence

from proxy.core.quota import Scope
from proxy.core.spending import Charge, Question, Sums, charges
from proxy.usage.opening import Found

_MICRO = 1_000_000


class Adding:
    """Sums to add to."""

    def __init__(self, questions: Sequence[Question], sums: Sequence[Sums]) -> None:
        self._named: dict[Scope, list[tuple[Question, Sums]]] = {}
        self._patterns: list[tuple[re.Pattern[str], Question, Sums]] = []
        for question, added in zip(questions, sums, strict=True):
            scope = question.scope
            if question.is_pattern:
                self._patterns.append((_pattern(scope.name), question, added))
            else:
                self._named.setdefault(scope, []).append((question, added))

    def add(self, found: Iterable[Found]) -> None:
        """Add what is missing, and take away what whoever asks counts himself."""
        for record, own, shipped in found:
            written = record.at + record.done
            for charge in charges(record):
                for question, sums in self._asking(charge.scope):
                    counts = not own or question.since is None or written < question.since
                    if counts and not shipped:
                        _add(question, sums, charge, 1)
                    elif shipped and not counts:
                        _add(question, sums, charge, -1)

    def _asking(self, scope: Scope) -> list[tuple[Question, Sums]]:
        found = self._named.get(scope, [])
        if scope.kind == "key_model" and self._patterns:
            matching = [(q, s) for name, q, s in self._patterns if name.fullmatch(scope.name)]
            return found + matching
        return found


def _pattern(name: str) -> re.Pattern[str]:
    before, _, after = name.rpartition("*")
    return re.compile(f"{re.escape(before)}.*{re.escape(after)}", re.DOTALL)


def _add(question: Question, sums: Sums, charge: Charge, sign: int) -> None:
    at = charge.at / _MICRO
    for place, span in enumerate(question.spans):
        if at in span:
            sums.spans[place] += sign * charge.cost
    if sign > 0 and (sums.first is None or charge.at < sums.first):
        sums.first = charge.at
