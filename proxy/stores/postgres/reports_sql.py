"""A query as SQL over `usage_hourly`: see `migrations/0001_usage.sql` for what counts where.

Whatever came from a caller is a parameter; only names of this file stand in a statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from proxy.core.accounting import Dimension, Figures, Group, UsageQuery

_NAMED: tuple[Dimension, ...] = (
    "model",
    "team",
    "key",
    "user",
    "project",
    "tag",
    "provider",
    "operation",
)
_COLUMNS: dict[Dimension, str] = {name: name for name in _NAMED} | {"user": "user_id"}
_EXPRESSIONS: dict[Dimension, str] = {
    # By bytes: the same order everywhere, and quicker than a language's.
    **{name: f'{column} COLLATE "C"' for name, column in _COLUMNS.items()},
    "hour": "hour",
    "day": "date_trunc('day', hour, 'UTC')",
}
FIGURES = tuple(field.name for field in fields(Figures))
_SUMS = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in FIGURES)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and its parameters."""

    text: str
    values: Sequence[Any]


def totals(query: UsageQuery) -> Statement:
    """One row: the figures of all that the query covers, every request once."""
    values: list[Any] = []
    once = "tag" not in dict(query.where)
    where = _where(query, values, once=once)
    return Statement(f"SELECT {_SUMS} FROM usage_hourly WHERE {where}", values)


def page(query: UsageQuery, limit: int, after: Group | None) -> Statement:
    """Rows in the order of their groups, from behind a group on."""
    values: list[Any] = []
    where = _rows_where(query, values)
    groups = [_EXPRESSIONS[name] for name in query.by]
    if after is not None:
        marks = ", ".join(_mark(values, value) for value in after)
        where += f" AND ({', '.join(groups)}) > ({marks})"
    order = ", ".join(groups)
    return Statement(f"{_select(query, where)} ORDER BY {order} LIMIT {limit:d}", values)


def dearest_first(query: UsageQuery) -> Statement:
    """All rows as people read them: by time if that is asked for, else the dearest first."""
    values: list[Any] = []
    where = _rows_where(query, values)
    times = [_EXPRESSIONS[name] for name in query.by if name in {"hour", "day"}]
    names = [_EXPRESSIONS[name] for name in query.by if name not in {"hour", "day"}]
    order = ", ".join([*times, "sum(cost) DESC", "sum(requests) DESC", *names])
    return Statement(f"{_select(query, where)} ORDER BY {order}", values)


def _select(query: UsageQuery, where: str) -> str:
    groups = ", ".join(_EXPRESSIONS[name] for name in query.by)
    chosen = ", ".join(f"{_EXPRESSIONS[name]} AS g{n}" for n, name in enumerate(query.by))
    return f"SELECT {chosen}, {_SUMS} FROM usage_hourly WHERE {where} GROUP BY {groups}"


def _rows_where(query: UsageQuery, values: list[Any]) -> str:
    once = "tag" not in query.by and "tag" not in dict(query.where)
    return _where(query, values, once=once)


def _where(query: UsageQuery, values: list[Any], *, once: bool) -> str:
    parts = [f"hour >= {_mark(values, query.since)}"]
    if query.until is not None:
        parts.append(f"hour < {_mark(values, query.until)}")
    if once:
        parts.append("tag_first")
    for name, wanted in query.where:
        parts.append(f"{_COLUMNS[name]} = ANY({_mark(values, list(wanted))})")
    return " AND ".join(parts)


def _mark(values: list[Any], value: datetime | str | list[str]) -> str:
    values.append(value)
    match value:
        case datetime():
            kind = "timestamptz"
        case list():
            kind = "text[]"
        case _:
            kind = "text"
    return f"${len(values)}::{kind}"
