"""Expressions: checked when they are compiled, safe when they are asked, true only when true."""

from types import ModuleType
from typing import Any

import pytest

from proxy.core.caller import Caller
from proxy.core.labels import Labels
from proxy.routing.expression import VARIABLES, CelMissing, ExpressionError, Expressions
from proxy.routing.facts import Facts
from proxy.routing.rules import Rule, Rules
from proxy.routing.rules_when import ExpressionFailed, When
from tests.unit.routing.asking import EVERYTHING, Counting, chat, facts

TEXT = "Fix this:\n```python\nx = 1\n```"


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


def asking(metadata: object = None) -> Facts:
    return facts(
        chat(TEXT, **({} if metadata is None else {"metadata": metadata})),
        caller=Caller("ada", EVERYTHING, team="research", tier="pro"),
        labels=Labels(agent="bot", tags=("prod", "eu")),
        task="review",
    )


METADATA = {"repo": "payments", "n": 3, "deep": {"list": [1, "a", None]}, "yes": True}


@pytest.mark.parametrize(
    "text",
    [
        'model == "gpt"',
        'task == "review" && user_tier in ["pro", "enterprise"]',
        'agent == "bot" && team == "research" && key == "ada"',
        '"prod" in tags && tags.exists(t, t.startsWith("e"))',
        "content_tokens > 5 && content_tokens < 10",
        "contains_code && !contains_math && !tools && !stream",
        'modality == ["text"] && operation == "chat"',
        'language == "" || language != "de"',
        'metadata.repo == "payments"',
        'metadata["repo"].matches("^pay")',
        "metadata.n > 2 && metadata.n == 3.0",
        'metadata.deep.list[1] == "a" && metadata.deep.list[2] == null',
        "metadata.yes",
        "has(metadata.repo) && !has(metadata.other)",
        'prompt.contains("Fix") && size(prompt) > 10',
        "[1, 2].map(x, x * 2).size() == 2",
        'metadata.other == 1 || model == "gpt"',
    ],
)
def test_it_holds(expressions: Expressions, text: str) -> None:
    compiled = expressions.compile(text)
    assert compiled.holds(asking(METADATA)) is True
    assert compiled.text == text
    assert expressions.compile(f"!({text})").holds(asking(METADATA)) is False


@pytest.mark.parametrize("metadata", [None, {}, {"x": 1}, "no object", [1], {"repo": None}])
def test_what_is_not_there_does_not_hold(expressions: Expressions, metadata: object) -> None:
    found = asking(metadata)
    assert expressions.compile('metadata.repo == "payments"').holds(found) is False
    if metadata != {"repo": None}:
        assert expressions.compile('metadata.repo != "payments"').holds(found) is False


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("", 1, 1, "it is empty"),
        ("  \n", 1, 1, "it is empty"),
        ('modelx == "a"', 1, 1, "`modelx` is not known here; did you mean `model`?"),
        ('model == "a" &&\n  zzzz == 1', 2, 3, "`zzzz` is not known here; there are model, task"),
        ("model ==", 1, 9, "mismatched input '<EOF>'"),
        ("model == 1", 1, 7, "no matching overload"),
        ("content_tokens > 1.5", 1, 16, "no matching overload"),
        ("model.foo", 1, 6, "cannot be the operand"),
        ("metadata.repo == ", 1, 18, "mismatched input"),
        ("content_tokens", 1, 1, "it must be true or false, and is INT"),
        ("tags", 1, 1, "it must be true or false, and is LIST"),
        ("(" * 40 + "true" + ")" * 40, 1, 1, "recursion limit"),
        ("tags.foo()", 1, 9, "`foo`|undeclared|no matching"),
    ],
)
def test_faults_are_told_with_their_place(
    expressions: Expressions, text: str, line: int, column: int, reason: str
) -> None:
    with pytest.raises(ExpressionError) as raised:
        expressions.compile(text)
    found = raised.value
    assert (found.line, found.column) == (line, column)
    assert any(each in found.reason for each in reason.split("|"))
    assert str(found) == f"line {line}, column {column}: {found.reason}"
    assert "INVALID_ARGUMENT" not in found.reason


@pytest.mark.parametrize(
    ("text", "metadata", "reason"),
    [
        ("metadata.x > 1", {"x": "a"}, "No matching overloads"),
        ("metadata.x", {"x": "true"}, "it is a STRING here"),
        ("metadata.x", {"x": 1}, "it is a INT here"),
        ("metadata.x", {"x": [True]}, "it is a LIST<DYN> here"),
        ("metadata.x.y", {"x": "a"}, "SELECT"),
        ('model.matches("(a")', {}, r"missing \)"),
        ("content_tokens / 0 == 1", {}, "divi"),
        ("metadata.l.all(a, metadata.l.all(b, metadata.l.all(c, true)))",
         {"l": list(range(400))}, "budget"),
    ],
)  # fmt: skip
def test_what_has_no_answer_fails(
    expressions: Expressions, text: str, metadata: dict[str, Any], reason: str
) -> None:
    compiled = expressions.compile(text)
    with pytest.raises(ExpressionFailed, match=reason):
        compiled.holds(asking(metadata))


def test_numbers_too_large_for_cel_do_not_escape(expressions: Expressions) -> None:
    found = asking({"x": 2**63 + 5})
    compiled = expressions.compile("metadata.x == 1 || true")
    assert compiled.holds(found) in {True, False}


def test_a_failing_rule_is_skipped(expressions: Expressions) -> None:
    when = When(expression=expressions.compile("metadata.x > 1"))
    book = Rules((Rule("broken", None, when), Rule("next", None)))
    matched = book.match(asking({"x": "a"}))
    assert matched is not None
    assert matched.name == "next"
    assert book.failures["broken"].count == 1


def test_only_what_is_named_is_worked_out(expressions: Expressions) -> None:
    found = Counting(asking())
    assert expressions.compile('model == "gpt" && content_tokens > 0').holds(found)
    assert not {"prompt", "contains_code", "contains_math", "language"} & {*found.asked}


def test_expressions_that_name_the_same_share_the_values(expressions: Expressions) -> None:
    found = Counting(asking())
    for text in ("contains_code", "contains_code == true", "!contains_code"):
        expressions.compile(text).holds(found)
    assert found.asked.count("contains_code") == 1


def test_every_variable_is_declared_and_worked_out(expressions: Expressions) -> None:
    for name in VARIABLES:
        compiled = expressions.compile(f"{name} == {name}")
        assert compiled.holds(asking())
        assert compiled.holds(facts(None))


def test_without_the_library_it_says_what_to_install() -> None:
    def missing() -> ModuleType:
        raise CelMissing("pip install 'llm-proxy[cel]'")

    with pytest.raises(CelMissing, match=r"llm-proxy\[cel\]"):
        Expressions(missing)


def test_the_import_that_fails_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cel_expr_python", None)
    with pytest.raises(CelMissing, match=r"pip install 'llm-proxy\[cel\]'"):
        Expressions()
