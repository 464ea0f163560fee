"""Expressions are judged by who knows them, while their places are known."""

from pathlib import Path

import pytest

from proxy.config.expressions import Fault, Judge
from proxy.config.load import load
from proxy.config.problems import ConfigError

RULE = "auth: none\nrules:\n  - name: a\n    when: {expression: %s}\n"


def no_foo(text: str) -> Fault | None:
    """A judge that dislikes one word."""
    line = next((i for i, line in enumerate(text.splitlines()) if "foo" in line), None)
    if line is None:
        return None
    column = text.splitlines()[line].index("foo") + 1
    return Fault("undeclared reference to `foo`", line + 1, column)


def problems(folder: Path, text: str, judge: Judge | None = no_foo, **env: str) -> list[str]:
    path = folder / "config.yaml"
    path.write_text(text)
    try:
        load(path, env=env, judge=judge)
    except ConfigError as error:
        return [f"{each.line}:{each.column}: {each.message}" for each in error.problems]
    return []


@pytest.mark.parametrize("written", ["a == 1", "'model == \"x\"'"])
def test_what_is_right_is_taken(tmp_path: Path, written: str) -> None:
    assert problems(tmp_path, RULE % written) == []


def test_a_fault_has_the_place_of_the_expression(tmp_path: Path) -> None:
    assert problems(tmp_path, RULE % "'a == foo'") == [
        "4:24: this expression cannot be used, from line 1, column 6 of it: "
        "undeclared reference to `foo`"
    ]


def test_a_fault_tells_the_line_within(tmp_path: Path) -> None:
    before = "auth: none\nrules:\n  - name: a\n    when:\n      expression: |\n"
    text = before + "        a\n        && foo\n"
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("5:19: this expression cannot be used, from line 2, column 4 of it:")


def test_faults_are_told_with_all_other_problems(tmp_path: Path) -> None:
    text = RULE % "foo" + "    use: nowhere\nlissten: x\n"
    assert [problem.partition(":")[0] for problem in problems(tmp_path, text)] == ["4", "5", "6"]


def test_an_expression_of_variables_is_not_quoted(tmp_path: Path) -> None:
    quoting: Judge = lambda text: Fault(f"cannot read {text}", 1, 3)  # noqa: E731
    (problem,) = problems(tmp_path, RULE % "'x ${S}'", quoting, S="sk-Very-Secret")
    assert "sk-Very-Secret" not in problem
    assert "line 1, column 3 of it: it holds variables" in problem


@pytest.mark.parametrize("written", ["3", "[foo]", "' '", "null", "'${NOT_SET}'"])
def test_what_is_refused_elsewhere_is_not_judged(tmp_path: Path, written: str) -> None:
    asked: list[str] = []

    def judge(text: str) -> Fault | None:
        asked.append(text)
        return None

    problems(tmp_path, RULE % written, judge)
    assert asked == []


def test_without_a_judge_nothing_is_judged(tmp_path: Path) -> None:
    assert problems(tmp_path, RULE % "foo", None) == []
