"""Rules: the first that holds, whatever else is there; nothing dear is looked at in vain."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.caller import Caller, ModelPatterns
from proxy.core.labels import Labels
from proxy.routing.facts import Facts
from proxy.routing.rules import Rule, Rules
from proxy.routing.rules_told import explain
from proxy.routing.rules_when import ExpressionFailed, Tokens, When
from tests.unit.routing.asking import EVERYTHING, Counting, chat, facts

CODE = "Fix this:\n```python\nx = 1\n```"
PICTURE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
]


class Says:
    """An expression with a given answer; an exception is raised."""

    def __init__(self, answer: bool | str) -> None:
        self.text = f"says {answer}"
        self.answer = answer
        self.asked = 0

    def holds(self, facts: Facts, /) -> bool:
        self.asked += 1
        if isinstance(self.answer, str):
            raise ExpressionFailed(self.answer)
        return self.answer


def asking(**said: Any) -> Facts:
    """A request; what it says of itself by name."""
    return facts(
        chat(said.get("text", "Hello, how are you?"), **said.get("more", {})),
        caller=Caller("k", EVERYTHING, team=said.get("team"), tier=said.get("tier")),
        labels=Labels(agent=said.get("agent"), tags=said.get("tags", ())),
        task=said.get("task"),
    )


def rules(*whens: When) -> Rules[None]:
    return Rules(Rule(str(at), None, when) for at, when in enumerate(whens))


def first(found: Facts, *whens: When) -> str | None:
    matched = rules(*whens).match(found)
    return None if matched is None else matched.name


TOOLS = {"tools": [{"type": "function"}]}


@pytest.mark.parametrize(
    ("when", "said", "held"),
    [
        (When(), {}, True),
        (When(models=("gpt",)), {}, True),
        (When(models=("auto", "gpt")), {}, True),
        (When(models=("g*",)), {}, True),
        (When(models=("*",)), {}, True),
        (When(models=("g*t",)), {}, True),
        (When(models=("gpt*t",)), {}, False),
        (When(models=("auto",)), {}, False),
        (When(tasks=("review", "sql")), {"task": "sql"}, True),
        (When(tasks=("review",)), {"task": "sql"}, False),
        (When(tasks=("review",)), {}, False),
        (When(tasks=("review",)), {"more": {"metadata": {"task_type": "review"}}}, True),
        (When(user_tiers=("pro",)), {"tier": "pro"}, True),
        (When(user_tiers=("pro",)), {"tier": "free"}, False),
        (When(user_tiers=("pro",)), {}, False),
        (When(agents=("bot",)), {"agent": "bot"}, True),
        (When(agents=("bot",)), {}, False),
        (When(teams=("a", "b")), {"team": "b"}, True),
        (When(teams=("a",)), {"team": "b"}, False),
        (When(tags=("prod",)), {"tags": ("x", "prod")}, True),
        (When(tags=("prod",)), {"tags": ("x",)}, False),
        (When(tags=("prod",)), {}, False),
        (When(content_tokens=Tokens(0, 5)), {}, True),
        (When(content_tokens=Tokens(5, 5)), {}, True),
        (When(content_tokens=Tokens(6)), {}, False),
        (When(content_tokens=Tokens(0, 4)), {}, False),
        (When(content_tokens=Tokens(6)), {"text": "a" * 24}, True),
        (When(contains_code=True), {"text": CODE}, True),
        (When(contains_code=False), {"text": CODE}, False),
        (When(contains_code=False), {}, True),
        (When(contains_math=True), {"text": "Solve for x: 3x = 6"}, True),
        (When(contains_math=True), {}, False),
        (When(modality=("text",)), {}, True),
        (When(modality=("text",)), {"text": PICTURE}, False),
        (When(modality=("image", "audio")), {"text": PICTURE}, True),
        (When(modality=("audio",)), {"text": PICTURE}, False),
        (When(modality=("image",)), {}, False),
        (When(tools=True), {"more": TOOLS}, True),
        (When(tools=True), {}, False),
        (When(tools=False), {"more": TOOLS}, False),
        (When(languages=("de", "en")), {}, True),
        (When(languages=("de",)), {}, False),
        (When(languages=("de",)), {"text": "OK"}, False),
        (When(expression=Says(True)), {}, True),
        (When(expression=Says(False)), {}, False),
        (When(models=("gpt",), teams=("a",)), {"team": "a"}, True),
        (When(models=("gpt",), teams=("a",)), {"team": "b"}, False),
    ],
)
def test_a_condition_holds_or_not(when: When, said: dict[str, Any], held: bool) -> None:
    assert first(asking(**said), when) == ("0" if held else None)
    assert first(asking(**said), when, When()) == ("0" if held else "1")
    [told] = explain(rules(when), asking(**said))
    assert told.held is held
    if not held:
        assert [each.held for each in told.conditions].count(False) == 1


def test_a_star_that_the_caller_sends_is_no_pattern() -> None:
    found = facts(chat())
    found.model = "g*"
    assert first(found, When(models=("g*",))) == "0"
    assert first(found, When(models=("g*x",))) is None


def test_no_rules() -> None:
    assert rules().match(asking()) is None
    assert explain(rules(), asking()) == []


def test_priority_then_the_order_of_the_file() -> None:
    book = Rules(
        Rule(name, name, priority=priority)
        for name, priority in (("a", 1), ("b", 5), ("c", -1), ("d", 5))
    )
    assert [rule.name for rule in book.ordered] == ["b", "d", "a", "c"]
    matched = book.match(asking())
    assert matched is not None
    assert matched.decision == "b"


def test_what_is_inactive_is_not_there() -> None:
    book = Rules((Rule("a", None, active=False), Rule("b", None)))
    matched = book.match(asking())
    assert matched is not None
    assert matched.name == "b"
    assert [told.name for told in explain(book, asking())] == ["b"]


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="several rules are called `a`"):
        Rules((Rule("a", None), Rule("a", None)))


def test_what_decides_nothing_is_not_looked_at() -> None:
    found = Counting(asking(text=CODE))
    book = rules(
        When(models=("other",), contains_code=True, languages=("de",)),
        When(models=("gpt",)),
        When(contains_math=True),
    )
    matched = book.match(found)
    assert matched is not None
    assert matched.name == "1"
    assert not {"contains_code", "contains_math", "language", "said"} & {*found.asked}


def test_each_fact_is_asked_once_for_all_rules() -> None:
    found = Counting(asking())
    assert rules(*[When(contains_code=True, languages=("de",))] * 50).match(found) is None
    assert found.asked.count("language") == 1
    assert "contains_code" not in found.asked


def test_an_expression_comes_last() -> None:
    said = Says(True)
    assert first(asking(), When(contains_code=True, expression=said)) is None
    assert said.asked == 0


def test_a_rule_whose_expression_fails_is_skipped_and_counted() -> None:
    book = rules(When(expression=Says("no such overload")), When())
    for _ in range(3):
        matched = book.match(asking())
        assert matched is not None
        assert matched.name == "1"
    assert (book.failures["0"].count, book.failures["0"].last) == (3, "no such overload")
    told = explain(book, asking())
    assert (told[0].held, told[0].conditions[0].found) == (False, "no such overload")
    assert (book.failures["0"].count, [*book.failures]) == (3, ["0"])


def test_rules_are_told_condition_by_condition() -> None:
    found = asking(text=CODE, team="a", tags=("prod",))
    book = rules(
        When(teams=("a",), tags=("test",), contains_code=True),
        When(teams=("a",), contains_code=True, content_tokens=Tokens(1, 50)),
        When(models=("gpt",), expression=Says(True)),
    )
    first_told, second, third = explain(book, found)
    assert [(each.name, each.wanted, each.found, each.held) for each in first_told.conditions] == [
        ("team", ("a",), "a", True),
        ("tags", ("test",), ("prod",), False),
        ("contains_code", True, None, None),
    ]
    assert [(each.name, str(each.wanted), each.found, each.held) for each in second.conditions] == [
        ("team", "('a',)", "a", True),
        ("content_tokens", "1 to 50", 8, True),
        ("contains_code", "True", True, True),
    ]
    assert [(each.name, each.held) for each in third.conditions] == [
        ("model", None),
        ("expression", None),
    ]
    assert [told.held for told in (first_told, second, third)] == [False, True, None]


WORDS = st.sampled_from(("a", "b", "c"))
SOME = st.lists(WORDS, max_size=2, unique=True).map(tuple)
ANY_WHEN = st.builds(
    When,
    models=st.sampled_from(((), ("gpt",), ("a",), ("g*", "x"))),
    tasks=SOME,
    user_tiers=SOME,
    agents=SOME,
    tags=SOME,
    teams=SOME,
    content_tokens=st.sampled_from((None, Tokens(0, 5), Tokens(6))),
    contains_code=st.sampled_from((None, True, False)),
    modality=st.sampled_from(((), ("text",), ("image",))),
    tools=st.sampled_from((None, True, False)),
    languages=st.sampled_from(((), ("en",), ("de",))),
    expression=st.sampled_from((None, Says(True), Says(False), Says("broken"))),
)
ANY_REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "task": WORDS,
        "tier": WORDS,
        "agent": WORDS,
        "team": WORDS,
        "tags": SOME,
        "text": st.sampled_from((CODE, "Guten Tag, wie geht es dir?", PICTURE)),
        "more": st.sampled_from(({}, TOOLS)),
    },
)


def plainly(when: When, found: Facts) -> bool:
    """The same, one condition after the other."""
    answer = True if when.expression is None else getattr(when.expression, "answer", None)
    return (
        (not when.models or found.model in ModelPatterns.of(when.models))
        and all(
            not wanted or has in wanted
            for wanted, has in (
                (when.tasks, found.task),
                (when.user_tiers, found.user_tier),
                (when.agents, found.agent),
                (when.teams, found.team),
                (when.languages, found.language),
            )
        )
        and (not when.tags or bool({*when.tags} & {*found.tags}))
        and (when.content_tokens is None or found.content_tokens in when.content_tokens)
        and when.contains_code in {None, found.contains_code}
        and when.tools in {None, found.tools}
        and (not when.modality or (when.modality == ("text",)) == (found.modality == {"text"}))
        and answer is True
    )


@given(st.lists(ANY_WHEN, max_size=8), ANY_REQUEST)
def test_sieves_and_stories_agree_with_plain_reading(
    whens: list[When], said: dict[str, Any]
) -> None:
    wanted = next((str(at) for at, when in enumerate(whens) if plainly(when, asking(**said))), None)
    book = rules(*whens)
    assert first(asking(**said), *whens) == wanted
    told = explain(book, asking(**said))
    assert next((rule.name for rule in told if rule.held), None) == wanted
    assert len(told) == len(whens)
    for rule, following in pairwise(told):
        assert (following.held is None) == (rule.held is not False)
