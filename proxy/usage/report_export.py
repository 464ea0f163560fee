"""Single records as lines of CSV or JSON: bounded work and memory per record.

What an attempt cost, within `attempts`, is in nano-USD as it was recorded; what the request cost is
`cost_usd`, exact, and empty (null) where no price is known.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from proxy.base.jsonio import dumps, loads
from proxy.usage.report_values import stamp, usd

Lines = Callable[[Iterable[Sequence[Any]]], str]

_RENAMED = {"user_id": "user", "cost": "cost_usd"}


def csv_lines(columns: Sequence[str]) -> tuple[str, Lines]:
    """The head, and what turns records into lines."""
    readers = [_CSV_VALUES.get(name) for name in columns]

    def lines(records: Iterable[Sequence[Any]]) -> str:
        return _csv([[_cell(*pair) for pair in zip(readers, r, strict=True)] for r in records])

    return _csv([_names(columns)]), lines


def json_lines(columns: Sequence[str]) -> tuple[str, Lines]:
    """No head, and what turns records into lines, one JSON object each."""
    names = _names(columns)
    readers = [_JSON_VALUES.get(name) for name in columns]

    def line(record: Sequence[Any]) -> bytes:
        values = (read(v) if read else v for read, v in zip(readers, record, strict=True))
        return dumps(dict(zip(names, values, strict=True)))

    def lines(records: Iterable[Sequence[Any]]) -> str:
        return "".join(f"{line(record).decode()}\n" for record in records)

    return "", lines


def _names(columns: Sequence[str]) -> list[str]:
    return [_RENAMED.get(name, name) for name in columns]


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _cell(read: Callable[[Any], str] | None, value: Any) -> str:
    if read is not None:
        return read(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _cost(nano: int | None) -> str | None:
    return usd(nano) if nano is not None else None


def _time(time: datetime) -> str:
    return stamp(time)


_CSV_VALUES: dict[str, Callable[[Any], str]] = {
    "at": _time,
    "cost": lambda nano: _cost(nano) or "",
    "tags": lambda tags: dumps(tags).decode(),
}
_JSON_VALUES: dict[str, Callable[[Any], Any]] = {
    "at": _time,
    "cost": _cost,
    "attempts": loads,
}
