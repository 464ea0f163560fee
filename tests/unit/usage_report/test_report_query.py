"""Words to a query: what is understood, and what is refused with which words."""

from datetime import UTC, datetime

import pytest

from proxy.usage.report import (
    DIMENSIONS,
    Asked,
    BadQuery,
    conditions,
    dimensions,
    moment,
    period_of,
    query_of,
)

NOW = datetime(2026, 11, 20, 13, 45, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", "2026-11-20T12:15:30"),
        ("12h", "2026-11-20T01:45:30"),
        ("7d", "2026-11-13T13:45:30"),
        ("2w", "2026-11-06T13:45:30"),
        ("now", "2026-11-20T13:45:30"),
        ("today", "2026-11-20T00:00:00"),
        ("yesterday", "2026-11-19T00:00:00"),
        ("2026-11-01", "2026-11-01T00:00:00"),
        (" 2026-11-01T10:30 ", "2026-11-01T10:30:00"),
        ("2026-11-01T10:30Z", "2026-11-01T10:30:00"),
        ("2026-11-01T10:30+02:00", "2026-11-01T08:30:00"),
    ],
)
def test_times_are_understood(text: str, expected: str) -> None:
    assert moment("since", text, NOW) == datetime.fromisoformat(expected + "+00:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "7y",
        "-7d",
        "7 d",
        "\u0667d",
        "9999999w",
        "2026-13-01",
        "1969-12-31",
        "\x1b[2J",
        "9" * 99,
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadQuery, match=r"^`until` must be a time such as 12h") as refused:
        moment("until", text, NOW)
    assert str(refused.value).isprintable()


def test_a_report_covers_the_hours_that_the_period_touches() -> None:
    asked = Asked(since="2026-11-01T10:59", until="2026-11-01T12:01")
    query = query_of(asked, NOW)
    assert query.since == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert query.until == datetime(2026, 11, 1, 13, tzinfo=UTC)
    whole = query_of(Asked(since="2026-11-01T10:00", until="2026-11-01T12:00"), NOW)
    assert whole.until == datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_an_export_takes_the_period_as_it_is() -> None:
    period = period_of(Asked(since="2026-11-01T10:59", until="2026-11-01T12:01"), NOW)
    assert period.since == datetime(2026, 11, 1, 10, 59, tzinfo=UTC)
    assert period.until == datetime(2026, 11, 1, 12, 1, tzinfo=UTC)


def test_without_words_it_is_a_week_by_model() -> None:
    query = query_of(Asked(), NOW)
    assert query.by == ("model",)
    assert query.since == datetime(2026, 11, 13, 13, tzinfo=UTC)
    assert query.until is None
    assert query.where == ()


@pytest.mark.parametrize("until", ["2026-11-01", "2026-10-31", "8d"])
def test_a_period_that_is_empty_is_refused(until: str) -> None:
    since = "7d" if until == "8d" else "2026-11-01"
    with pytest.raises(BadQuery, match="`until` must be later than `since`"):
        query_of(Asked(since=since, until=until), NOW)


def test_dimensions_come_in_lists_and_each_counts_once() -> None:
    assert dimensions(["team, model", "model,day"]) == ("team", "model", "day")
    assert dimensions([",".join(DIMENSIONS)]) == DIMENSIONS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["modl"], "`by` does not know `modl`; did you mean `model`?"),
        (["Team"], "did you mean `team`?"),
        (["zzz"], "there are model, team, key"),
        ([""], "must name at least one of"),
        ([" , "], "must name at least one of"),
        (["te\x1bam"], "`te?am`"),
    ],
)
def test_an_unknown_dimension_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(BadQuery) as refused:
        dimensions(words)
    assert message in str(refused.value)
    assert refused.value.parameter == "by"


def test_conditions_of_one_dimension_are_alternatives() -> None:
    found = conditions(["model=a=b,c", "team=", "model=d", "model=d"])
    assert found == (("model", ("a=b,c", "d")), ("team", ("",)))


def test_a_condition_is_what_the_store_can_hold() -> None:
    assert conditions(["user=a\0b\ud800"]) == (("user", ("a\ufffdb?",)),)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model"], "must be NAME=VALUE such as model=gpt-4o, not `model`"),
        (["modl=x"], "did you mean `model`?"),
        (["day=2026-11-01"], "does not take `day`: use `since` and `until`"),
        (["tag=a", "tag=b"], "takes one tag"),
        ([f"key={n}" for n in range(101)], "at most 100 values"),
        (["key=" + "x" * 1025], "1024 characters"),
    ],
)
def test_a_wrong_condition_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(BadQuery) as refused:
        conditions(words)
    assert message in str(refused.value)
    assert refused.value.parameter == "where"
