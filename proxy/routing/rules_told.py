"""Why rules took a request or did not: rule by rule, condition by condition, for people.

Shows what a match would do and no more: after the first condition that does not hold, the others
of a rule are not looked at, and after the first rule that holds, no other rule is. Nothing is
counted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from proxy.routing.facts import Facts
from proxy.routing.rules import Rule, Rules

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConditionTold:
    """One condition. `held` None: not looked at, and then `found` is None, too."""

    name: str
    wanted: object
    found: object = None
    held: bool | None = None


@dataclass(frozen=True, slots=True)
class RuleTold:
    """One rule. `held` None: not looked at."""

    name: str
    priority: int
    held: bool | None
    conditions: tuple[ConditionTold, ...]


def explain(rules: Rules[T], facts: Facts) -> Sequence[RuleTold]:
    """All active rules, in the order they are looked at."""
    told: list[RuleTold] = []
    decided = False
    for at, rule in enumerate(rules.ordered):
        if decided:
            conditions = tuple(ConditionTold(name, wanted) for name, wanted in _wants(rules, at))
            told.append(RuleTold(rule.name, rule.priority, None, conditions))
        else:
            conditions = _looked_at(rules, at, facts)
            decided = all(each.held for each in conditions)
            told.append(RuleTold(rule.name, rule.priority, decided, conditions))
    return told


def _wants(rules: Rules[T], at: int) -> list[tuple[str, object]]:
    rule: Rule[T] = rules.ordered[at]
    wants = [(each.name, each.wanted(rule.when)) for each in rules.sieves if each.asked >> at & 1]
    if rule.when.expression is not None:
        wants.append(("expression", rule.when.expression.text))
    return wants


def _looked_at(rules: Rules[T], at: int, facts: Facts) -> tuple[ConditionTold, ...]:
    sieves = {sieve.name: sieve for sieve in rules.sieves}
    conditions: list[ConditionTold] = []
    held: bool | None = True
    for name, wanted in _wants(rules, at):
        if not held:
            conditions.append(ConditionTold(name, wanted))
        elif name in sieves:
            held = bool(sieves[name].allows(facts) >> at & 1)
            conditions.append(ConditionTold(name, wanted, sieves[name].found(facts), held))
        else:
            found = rules.expressed(rules.ordered[at], facts, count=False)
            held = found is True
            conditions.append(ConditionTold(name, wanted, found, held))
    return tuple(conditions)
