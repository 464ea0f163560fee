"""Rules: which requests each is for, and the first that takes one.

Every request is put through sieves, one per condition, cheapest first. A sieve answers for all
rules at once, as a bit mask, and is asked only while the first rule still in question has its
condition: what is dear is looked at where it decides, once, and a hundred rules cost little more
than ten. Expressions are for single rules, and come last.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from proxy.routing.facts import Facts
from proxy.routing.rules_sieves import Sieve, sieves_of
from proxy.routing.rules_when import ExpressionFailed, When

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """Conditions and what they lead to, which is the business of others."""

    name: str
    decision: T
    when: When = field(default_factory=When)
    priority: int = 0  # The higher, the earlier.
    active: bool = True


@dataclass(slots=True)
class Failures:
    """How often the expression of a rule failed, and why it did so last."""

    count: int = 0
    last: str = ""


class Rules(Generic[T]):
    """All rules of a configuration. `failures`: by name, of those whose expression failed."""

    __slots__ = ("_all", "_asks", "_sieves", "failures", "ordered")

    def __init__(self, rules: Iterable[Rule[T]]) -> None:
        """Raises ValueError for a name that is given twice."""
        self.ordered: tuple[Rule[T], ...] = tuple(
            sorted((rule for rule in rules if rule.active), key=lambda rule: -rule.priority)
        )
        self.failures: dict[str, Failures] = {}
        names = Counter(rule.name for rule in self.ordered)
        if doubled := [name for name, times in names.items() if times > 1]:
            raise ValueError(f"several rules are called `{doubled[0]}`")
        self._sieves: Sequence[Sieve] = sieves_of([rule.when for rule in self.ordered])
        self._all = (1 << len(self.ordered)) - 1
        # For each rule, which sieves have a condition of it.
        self._asks = tuple(
            sum(1 << place for place, sieve in enumerate(self._sieves) if sieve.asked >> at & 1)
            for at in range(len(self.ordered))
        )

    @property
    def sieves(self) -> Sequence[Sieve]:
        """In the order they are asked."""
        return self._sieves

    def match(self, facts: Facts) -> Rule[T] | None:
        """The first rule whose conditions all hold."""
        left, passed = self._all, 0
        sieves, asks = self._sieves, self._asks
        while left:
            first = left & -left
            at = first.bit_length() - 1
            todo = asks[at] & ~passed
            if todo:
                sieve = todo & -todo
                passed |= sieve
                left &= sieves[sieve.bit_length() - 1].allows(facts)
            elif self.expressed(rule := self.ordered[at], facts) is True:
                return rule
            else:
                left ^= first
        return None

    def expressed(self, rule: Rule[T], facts: Facts, *, count: bool = True) -> bool | str:
        """Whether the rule's expression holds, if it has one; why not, where it fails."""
        expression = rule.when.expression
        if expression is None:
            return True
        try:
            return expression.holds(facts)
        except ExpressionFailed as error:
            if count:
                failed = self.failures.setdefault(rule.name, Failures())
                failed.count += 1
                failed.last = str(error)
            return str(error)
