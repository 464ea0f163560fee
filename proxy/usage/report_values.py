"""Rows of a report as names and values, for JSON and CSV.

Money is text in USD, exact to the last digit: a number would be read as a binary float. A name that
is not known is null (nothing, in CSV). Times are UTC, as RFC 3339 writes them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from proxy.core.accounting import Dimension, Figures, Group, UsageQuery, UsageRow

NAMES = (
    "requests",
    "completed",
    "failed",
    "refused",
    "cut",
    "gone",
    "from_cache",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
)
"""Of the figures, in the order of `values_of`."""

_NANO = 10**9


def usd(nano: int) -> str:
    """Nano-USD in USD, with at least two decimals and no digit lost: `0.0000135`, `12.50`."""
    whole, rest = divmod(abs(nano), _NANO)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}{whole}.{decimals}"


def stamp(time: datetime) -> str:
    """A time in UTC: `2026-11-01T13:00:00Z`."""
    return time.replace(tzinfo=None).isoformat() + "Z"


def values_of(figures: Figures) -> tuple[int | str, ...]:
    """The figures, each under the name at the same place of NAMES."""
    return (
        figures.requests,
        figures.completed,
        figures.failed,
        figures.refused,
        figures.cut,
        figures.gone,
        figures.cached,
        figures.unpriced,
        figures.input_tokens,
        figures.output_tokens,
        figures.cached_read_tokens,
        figures.reasoning_tokens,
        usd(figures.cost),
    )


def names_of(by: Sequence[Dimension], group: Group) -> list[str | None]:
    """The group as text; a day without its time."""
    return [_name(*pair) for pair in zip(by, group, strict=True)]


def _name(dimension: Dimension, value: str | datetime) -> str | None:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if dimension == "day" else stamp(value)
    return value or None


def figures_object(figures: Figures) -> dict[str, Any]:
    """The figures as a JSON object."""
    return dict(zip(NAMES, values_of(figures), strict=True))


def row_object(by: Sequence[Dimension], row: UsageRow) -> dict[str, Any]:
    """A row as a JSON object."""
    return dict(zip(by, names_of(by, row.group), strict=True)) | figures_object(row.figures)


def query_object(query: UsageQuery) -> dict[str, Any]:
    """What was asked, as it was understood."""
    return {
        "by": query.by,
        "since": stamp(query.since),
        "until": stamp(query.until) if query.until is not None else None,
        "where": dict(query.where),
    }
