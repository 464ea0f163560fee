"""The table: it fits, its columns stand below each other, and no digit of money is lost."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.accounting import Dimension, Figures, UsageRow
from proxy.usage.report import DIMENSIONS
from proxy.usage.report_table import WIDTH, table
from proxy.usage.report_values import usd
from proxy.usage.report_width import clipped, padded, width_of

HOUR = datetime(2026, 11, 20, 13, tzinfo=UTC)
SOME = Figures(10, 8, 1, 1, 1, 1, 0, 2, 1000, 500, 100, 20, 1_500_000_000)
MUCH = Figures(*(10**6,) * 6, 0, 10**6, *(10**14,) * 4, 10**16 + 1)


def _lines(
    by: tuple[Dimension, ...], *groups: tuple[str | datetime, ...], figures: Figures = SOME
) -> list[str]:
    return list(table(by, [UsageRow(group, figures) for group in groups], figures))


def test_everything_stands_below_its_head() -> None:
    head, row, total = _lines(("model",), ("gpt-4o",))
    assert head.split() == [
        *("MODEL", "REQUESTS", "COMPLETED", "FAILED", "REFUSED", "CUT", "GONE"),
        *("INPUT", "OUTPUT", "CACHED", "REASONING", "UNPRICED", "COST", "USD"),
    ]
    assert row.split() == [
        *("gpt-4o", "10", "8", "1", "1", "1", "1"),
        *("1,000", "500", "100", "20", "2", "1.50"),
    ]
    assert total.split()[0] == "total"
    assert len(head) == len(row) == len(total)


def test_costs_have_their_points_below_each_other() -> None:
    costs = [1, 12_500_000_000, 10**9]
    rows = [UsageRow((f"m{n}",), Figures(cost=cost)) for n, cost in enumerate(costs)]
    lines = list(table(("model",), rows, Figures(cost=sum(costs))))[1:5]
    assert len({line.rindex(".") for line in lines}) == 1
    assert [Decimal(line.split()[-1]).scaleb(9) for line in lines] == [*costs, sum(costs)]


def test_columns_that_are_0_give_way_to_names_and_are_named() -> None:
    by: tuple[Dimension, ...] = ("model", "team")
    group = ("claude-sonnet-4-5-20250929", "the-team-of-somebody")
    lines = _lines(by, group, figures=Figures(requests=3, completed=3, cost=5))
    assert "FAILED" not in lines[0]
    assert all(name in lines[1] for name in group)
    assert lines[-1].startswith("Not shown, all 0: failed, refused, cut, gone, input, ")


def test_a_group_of_nothing_shows_its_number_of_requests() -> None:
    lines = _lines(("model", "team"), ("m" * 60, "t" * 40), figures=Figures())
    assert lines[0].split() == ["MODEL", "TEAM", "REQUESTS", "COST", "USD"]
    assert lines[1].split()[-2:] == ["0", "0.00"]


def test_long_names_lose_their_middle() -> None:
    name = "accounts/fireworks/models/" + "x" * 60 + "-instruct"
    row = _lines(("model",), (name,))[1]
    assert len(row) <= WIDTH
    assert row.startswith("accounts/")
    assert "…" in row
    assert "-instruct" in row


def test_many_names_have_a_line_of_their_own() -> None:
    names = [f"{name}-of-somebody" for name in DIMENSIONS[:8]]
    group: tuple[str | datetime, ...] = (*names, HOUR, HOUR)
    lines = _lines(DIMENSIONS, group)
    assert lines[0].startswith("MODEL · TEAM · KEY")
    assert lines[2].startswith("model-of-somebody · team-of-")
    assert lines[3].split()[-1] == "1.50"


def test_tokens_that_are_too_many_are_in_larger_units() -> None:
    lines = _lines(("model",), ("m",), figures=MUCH)
    assert max(map(len, lines)) <= WIDTH
    assert "Tokens are in millions." in lines
    assert lines[3].split()[6:10] == ["100000000"] * 4
    assert lines[3].split()[-1] == usd(MUCH.cost)


def test_nothing_is_a_table_too() -> None:
    assert [line.split()[0] for line in table(("model",), [], Figures())][:2] == ["MODEL", "total"]


def test_a_name_cannot_move_the_cursor_and_no_name_is_a_dash() -> None:
    lines = _lines(("team",), ("a\x1b[2J\nb",), ("",))
    assert lines[1].startswith("a\ufffd[2J\ufffdb ")
    assert lines[2].startswith("- ")


def test_times_are_short() -> None:
    row = _lines(("day", "hour"), (HOUR, HOUR))[1]
    assert row.split()[:3] == ["2026-11-20", "2026-11-20", "13:00"]


NAMES = st.text(st.characters(codec="utf-8"), max_size=60)
AMOUNTS = st.integers(0, 10**13)


@given(
    st.lists(st.tuples(NAMES, NAMES, AMOUNTS, st.integers(0, 10**16)), max_size=5),
    st.sampled_from([("model", "team"), ("user", "tag")]),
)
def test_it_always_fits(
    given_rows: list[tuple[str, str, int, int]], by: tuple[Dimension, Dimension]
) -> None:
    rows = [
        UsageRow((first, second), Figures(*(min(amount, 10**6),) * 8, *(amount,) * 4, cost))
        for first, second, amount, cost in given_rows
    ]
    lines = list(table(by, rows, Figures(cost=sum(row.figures.cost for row in rows))))
    assert max(map(width_of, lines)) <= WIDTH
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("", 0), ("…", 1)]
)
def test_width_is_that_of_a_terminal(text: str, width: int) -> None:
    assert width_of(text) == width
    assert width_of(padded(text, 6)) == 6


@given(NAMES, st.integers(1, 40))
def test_what_is_clipped_fits(text: str, width: int) -> None:
    assert width_of(clipped(text, width)) <= width


def test_both_ends_of_a_clipped_name_stay() -> None:
    assert clipped("gpt-4o-mini-2024-07-18", 11) == "gpt-4…07-18"
    assert clipped("short", 5) == "short"
