"""By rules, without the prompt: what can be told of a request from its record.

A record has the names (model, key, team, agent, tags), the operation and the tokens that were
counted; what was said it does not have. A rule that asks for more may have held or not: then the
request is undecided, and it is told which rule asked for what. `known` may still say so, where the
record names the rule that took the request and that rule stood behind the one in question.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

from proxy.core.caller import UNKNOWN, Caller
from proxy.core.labels import Labels
from proxy.routing.facts import Facts
from proxy.routing.rules import Rule, Rules
from proxy.wire.operations import Operation

T = TypeVar("T")

Known = Callable[[str], bool | None]
"""Whether the rule of this name took the request or would have; None: nobody knows."""


class NotRecorded(Exception):
    """What the record of a request does not say."""


class RecordedFacts(Facts):
    """Of a request that was recorded. `caller`: None where its key is not known any more."""

    __slots__ = ("_is_known", "_team", "_tokens")

    def __init__(
        self,
        model: str,
        operation: Operation,
        caller: Caller | None,
        team: str | None,
        labels: Labels,
        *,
        tokens: int | None = None,
        stream: bool = False,
    ) -> None:
        """`tokens`: of input, None where none were counted."""
        super().__init__(model, operation, None, caller or UNKNOWN, labels, stream=stream)
        self._is_known = caller is not None
        self._team = team
        self._tokens = tokens

    @property
    def team(self) -> str | None:
        return self._team

    @property
    def user_tier(self) -> str | None:
        return self.caller.tier if self._is_known else _missing()

    @property
    def content_tokens(self) -> int:
        return self._tokens if self._tokens is not None else _missing()

    @property
    def task(self) -> str | None:
        return _missing()

    @property
    def metadata(self) -> Mapping[str, object]:
        return _missing()

    @property
    def prompt(self) -> str:
        return _missing()

    @property
    def contains_code(self) -> bool:
        return _missing()

    @property
    def contains_math(self) -> bool:
        return _missing()

    @property
    def language(self) -> str | None:
        return _missing()

    @property
    def modality(self) -> frozenset[str]:
        return _missing()

    @property
    def tools(self) -> bool:
        return _missing()


def _missing() -> NoReturn:
    raise NotRecorded


@dataclass(frozen=True, slots=True)
class Undecided:
    """It hangs on this rule, which asks for these conditions."""

    rule: str
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decided(Generic[T]):
    """The first rule that holds; None: none does."""

    rule: Rule[T] | None


def decide(
    rules: Rules[T], facts: RecordedFacts, known: Known | None = None
) -> Decided[T] | Undecided:
    """What the rules decide, as far as that can be told."""
    for at, rule in enumerate(rules.ordered):
        sure = known(rule.name) if known is not None else None
        held = sure if sure is not None else _held(rules, at, facts)
        if isinstance(held, tuple):
            return Undecided(rule.name, held)
        if held:
            return Decided(rule)
    return Decided(None)


def _held(rules: Rules[T], at: int, facts: RecordedFacts) -> bool | tuple[str, ...]:
    """Whether a rule holds; what is missing to know it."""
    missing: list[str] = []
    for sieve in rules.sieves:
        if not sieve.asked >> at & 1:
            continue
        try:
            if not sieve.allows(facts) >> at & 1:
                return False
        except NotRecorded:
            missing.append(sieve.name)
    try:
        if rules.expressed(rules.ordered[at], facts, count=False) is not True:
            return False
    except NotRecorded:
        missing.append("expression")
    return tuple(missing) or True
