"""Which questions are asked of the books, and what the answers pass."""

from dataclasses import replace

import pytest

from proxy.alerts.thresholds import crossings, needed, questions, windows
from proxy.base.periods import ALL_TIME, Span
from proxy.core.quota import Scope
from tests.unit.alerts.alert_cases import DAY, EACH, MIDNIGHT, NOON, TEAM, USD

TODAY = Span(MIDNIGHT, MIDNIGHT + DAY)


@pytest.mark.parametrize(
    ("spent", "passed"),
    [(0, []), (5 * USD - 1, []), (5 * USD, [50]), (8 * USD - 1, [50]), (20 * USD, [50, 80])],
)
def test_a_threshold_is_passed_when_it_is_reached(spent: int, passed: list[int]) -> None:
    found = list(crossings((TEAM, TODAY), {"search": spent, "other": 99 * USD}))
    assert [each.percent for each in found] == passed
    assert {each.scope for each in found} <= {TEAM.scope}


def test_a_percent_of_little_is_rounded_up() -> None:
    assert needed(replace(TEAM, amount=3), 50) == 2


def test_a_star_is_every_name_each_with_the_whole_amount() -> None:
    spent = {"a": 5 * USD, "b": 4 * USD, "c@idp": 9 * USD}
    found = list(crossings((EACH, TODAY), spent))
    assert [(each.scope.name, each.percent) for each in found] == [
        ("a", 50), ("c@idp", 50), ("c@idp", 80),
    ]  # fmt: skip
    found = list(crossings((replace(EACH, each="@idp"), TODAY), spent))
    assert {each.scope for each in found} == {Scope("team", "c@idp")}


def test_one_question_for_each_kind_and_window() -> None:
    other = replace(TEAM, scope=Scope("team", "ads"), amount=USD, percents=(10,))
    key = replace(TEAM, scope=Scope("key", "k"))
    asked = [question for question, _ in questions([(TEAM, TODAY), (other, TODAY), (key, TODAY)])]
    assert asked == [
        ("team", TODAY, USD // 10, ("ads", "search")),
        ("key", TODAY, 5 * USD, ("k",)),
    ]
    [(question, subjects)] = questions([(TEAM, TODAY), (EACH, TODAY)])
    assert question.names is None
    assert len(subjects) == 2


def test_a_long_name_is_asked_for_as_the_books_know_it() -> None:
    long = replace(TEAM, scope=Scope("key", "k" * 400))
    [(question, [subject])] = questions([(long, TODAY)])
    assert question.names == ("k" * 300,)
    [found] = list(crossings(subject, {"k" * 300: 5 * USD}))
    assert found.scope == long.scope


def test_windows_go_back_as_far_as_records_may_come() -> None:
    assert windows(TEAM, NOON, NOON - 3600) == [TODAY]
    yesterday = Span(MIDNIGHT - DAY, MIDNIGHT)
    assert windows(TEAM, MIDNIGHT + 60, MIDNIGHT - 1) == [TODAY, yesterday]
    assert windows(TEAM, MIDNIGHT + 60, MIDNIGHT) == [TODAY]
    assert len(windows(TEAM, NOON, 0)) == 40
    assert windows(replace(TEAM, period="total"), NOON, 0) == [ALL_TIME]
