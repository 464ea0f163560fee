"""Values for machines: money to the last digit, names, times, lines of an export."""

import csv
import io
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.base.jsonio import loads
from proxy.core.accounting import Figures, UsageRow
from proxy.usage.report_export import csv_lines, json_lines
from proxy.usage.report_values import NAMES, row_object, usd, values_of

HOUR = datetime(2026, 11, 20, 13, tzinfo=UTC)
COLUMNS = ("at", "user_id", "tags", "cost", "stream", "overhead_us", "attempts")


@given(st.integers(-(10**22), 10**22))
def test_money_is_exact(nano: int) -> None:
    assert Decimal(usd(nano)).scaleb(9) == nano


def test_money_is_readable() -> None:
    assert [usd(n) for n in (0, 1, 10**9, 12_500_000_000, -1500)] == [
        *("0.00", "0.000000001", "1.00", "12.50", "-0.0000015")
    ]


def test_each_figure_has_its_name() -> None:
    figures = Figures(*range(1, len(fields(Figures)) + 1))
    assert dict(zip(NAMES, values_of(figures), strict=True)) == {
        "requests": 1,
        "completed": 2,
        "failed": 3,
        "refused": 4,
        "cut": 5,
        "gone": 6,
        "from_cache": 7,
        "unpriced": 8,
        "input_tokens": 9,
        "output_tokens": 10,
        "cached_tokens": 11,
        "reasoning_tokens": 12,
        "cost_usd": "0.000000013",
    }


def test_a_row_has_its_group_first() -> None:
    row = UsageRow((HOUR, HOUR, "", "gpt-4o"), Figures())
    found = row_object(("hour", "day", "team", "model"), row)
    assert list(found.items())[:5] == [
        ("hour", "2026-11-20T13:00:00Z"),
        ("day", "2026-11-20"),
        ("team", None),
        ("model", "gpt-4o"),
        ("requests", 0),
    ]


def _record(**changes: Any) -> tuple[Any, ...]:
    values: dict[str, Any] = {
        "at": datetime(2026, 11, 20, 13, 0, 0, 5, tzinfo=UTC),
        "user_id": 'a,"b"\n=c',
        "tags": ["x", 'y"'],
        "cost": 1_000_000_001,
        "stream": True,
        "overhead_us": None,
        "attempts": '[{"provider": "openai"}]',
    }
    return tuple((values | changes).values())


def test_a_csv_line_reads_back() -> None:
    head, lines = csv_lines(COLUMNS)
    unpriced = lines([_record(cost=None, stream=False, tags=[])])
    text = io.StringIO(head + lines([_record()]) + unpriced)
    first, second = csv.DictReader(text)
    assert first == {
        "at": "2026-11-20T13:00:00.000005Z",
        "user": 'a,"b"\n=c',
        "tags": '["x","y\\""]',
        "cost_usd": "1.000000001",
        "stream": "true",
        "overhead_us": "",
        "attempts": '[{"provider": "openai"}]',
    }
    assert (second["cost_usd"], second["stream"], second["tags"]) == ("", "false", "[]")


def test_a_json_line_reads_back() -> None:
    head, lines = json_lines(COLUMNS)
    assert head == ""
    first, second = lines([_record(), _record(cost=None)]).splitlines()
    assert loads(first) == {
        "at": "2026-11-20T13:00:00.000005Z",
        "user": 'a,"b"\n=c',
        "tags": ["x", 'y"'],
        "cost_usd": "1.000000001",
        "stream": True,
        "overhead_us": None,
        "attempts": [{"provider": "openai"}],
    }
    assert loads(second)["cost_usd"] is None
