"""Cursors: the same question goes on where it stopped, another one is refused."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.jsonio import dumps, loads
from proxy.usage.report import Asked, BadQuery, query_of
from proxy.usage.report_cursor import cursor_after, resumed

NOW = datetime(2026, 11, 20, 13, 45, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=5)
ASKED = Asked(("team,hour",), "7d", "now", ("model=gpt-4o",))
GROUP = ("team-1", datetime(2026, 11, 19, 8, tzinfo=UTC))


def _cursor() -> str:
    return cursor_after(ASKED, query_of(ASKED, NOW), GROUP)


def test_a_page_later_means_the_same_period() -> None:
    query, after = resumed(ASKED, _cursor(), LATER)
    assert query == query_of(ASKED, NOW)
    assert query != query_of(ASKED, LATER)
    assert after == GROUP


def test_a_period_without_an_end_stays_so() -> None:
    asked = Asked(("day",))
    group = (datetime(2026, 11, 19, tzinfo=UTC),)
    query, after = resumed(asked, cursor_after(asked, query_of(asked, NOW), group), LATER)
    assert query == query_of(asked, NOW)
    assert after == group


def test_without_a_cursor_it_begins() -> None:
    assert resumed(ASKED, None, NOW) == (query_of(ASKED, NOW), None)


@pytest.mark.parametrize(
    "asked",
    [
        Asked(("team,day",), "7d", "now", ("model=gpt-4o",)),
        Asked(("team,hour",), "8d", "now", ("model=gpt-4o",)),
        Asked(("team,hour",), "7d", None, ("model=gpt-4o",)),
        Asked(("team,hour",), "7d", "now", ()),
    ],
)
def test_another_question_is_refused(asked: Asked) -> None:
    with pytest.raises(BadQuery, match="`cursor` must be the `next_cursor`"):
        resumed(asked, _cursor(), LATER)


def _forged(place: int, value: object) -> str:
    cursor = _cursor()
    told = loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    told[place] = value
    return base64.urlsafe_b64encode(dumps(told)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "=",
        "!!!!",
        "bnVsbA",
        "é",
        "A" * 20_000,
        _cursor()[:-3],
        _forged(1, "x"),
        _forged(1, 10**18),
        _forged(2, [1]),
        _forged(3, None),
        _forged(3, ["team-1"]),
        _forged(3, [1, 1]),
        _forged(3, ["a\0", 1]),
        _forged(3, ["team-1", "x"]),
        _forged(3, ["team-1", 1, 2]),
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadQuery, match="`cursor` must be the `next_cursor`"):
        resumed(ASKED, cursor, NOW)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50))
def test_any_name_survives(name: str) -> None:
    asked = Asked(("user",))
    query, after = resumed(asked, cursor_after(asked, query_of(asked, NOW), (name,)), LATER)
    assert after == (name,)
    assert query.by == ("user",)


@given(st.text(max_size=80))
def test_nonsense_never_breaks_anything(cursor: str) -> None:
    with pytest.raises(BadQuery):
        resumed(ASKED, cursor, NOW)
