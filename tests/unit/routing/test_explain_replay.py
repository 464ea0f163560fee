"""Rules on records: what is recorded decides; what is not is said to be missing, never guessed."""

import pytest

from proxy.core.caller import Caller, ModelPatterns
from proxy.core.labels import Labels
from proxy.routing.explain_replay import Decided, RecordedFacts, Undecided, decide
from proxy.routing.expression import Expressions
from proxy.routing.rules import Rule, Rules
from proxy.routing.rules_when import Tokens, When
from proxy.wire.operations import CHAT

ADA = Caller("ada", ModelPatterns.of(("*",)), team="web", tier="gold")


def recorded(*, known: bool = True, tokens: int | None = 50) -> RecordedFacts:
    labels = Labels(agent="bot", tags=("night",))
    return RecordedFacts("auto", CHAT, ADA if known else None, "web", labels, tokens=tokens)


def decided(*whens: When, facts: RecordedFacts | None = None) -> object:
    """The place of the rule that holds, None, or what is missing."""
    rules = Rules(Rule(str(place), place, when) for place, when in enumerate(whens))
    match decide(rules, facts or recorded()):
        case Undecided(rule, conditions):
            return rule, conditions
        case Decided(rule):
            return rule.decision if rule is not None else None


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (When(models=("auto",)), True),
        (When(models=("a*",), agents=("bot",), tags=("x", "night"), teams=("web",)), True),
        (When(user_tiers=("gold",)), True),
        (When(user_tiers=("silver",)), False),
        (When(content_tokens=Tokens(50, 60)), True),
        (When(content_tokens=Tokens(51)), False),
        (When(teams=("other",), contains_code=True), False),
        (When(), True),
    ],
)
def test_what_is_recorded_decides(when: When, holds: bool) -> None:
    assert decided(when) == (0 if holds else None)


@pytest.mark.parametrize(
    ("when", "missing"),
    [
        (When(contains_code=True), "contains_code"),
        (When(contains_math=False), "contains_math"),
        (When(languages=("de",)), "language"),
        (When(modality=("image",)), "modality"),
        (When(tools=True), "tools"),
        (When(tasks=("sql",)), "task"),
    ],
)
def test_what_is_not_recorded_is_missing(when: When, missing: str) -> None:
    assert decided(When(teams=("other",)), when, When()) == ("1", (missing,))


def test_what_stands_before_it_decides_all_the_same() -> None:
    assert decided(When(teams=("web",)), When(contains_code=True)) == 0


def test_a_key_that_is_gone_has_no_tier_and_no_count_is_no_length() -> None:
    assert decided(When(user_tiers=("gold",)), facts=recorded(known=False)) == ("0", ("user_tier",))
    assert decided(When(teams=("web",)), facts=recorded(known=False)) == 0
    long = When(content_tokens=Tokens(1))
    assert decided(long, facts=recorded(tokens=None)) == ("0", ("content_tokens",))


def test_expressions_of_what_is_recorded_decide() -> None:
    made = Expressions()
    assert decided(When(expression=made.compile('team == "web" && content_tokens > 10'))) == 0
    assert decided(When(expression=made.compile('team == "x"'))) is None
    assert decided(When(expression=made.compile('metadata.repo == "x"'))) == ("0", ("expression",))


def test_what_is_known_is_not_asked() -> None:
    rules = Rules([Rule("code", 1, When(contains_code=True)), Rule("rest", 2)])
    found = decide(rules, recorded(), {"code": False}.get)
    assert isinstance(found, Decided)
    assert found.rule is not None and found.rule.name == "rest"
