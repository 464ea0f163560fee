"""JSON in and out: the one home of orjson."""

from typing import Any

import orjson  # noqa: TID251

JSONError = orjson.JSONDecodeError


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return orjson.dumps(value)


def pretty(value: Any) -> bytes:
    """Indented UTF-8 JSON for people, keys sorted."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def loads(data: bytes | str) -> Any:
    """Parse JSON. Raises JSONError, also for nesting that is too deep."""
    return orjson.loads(data)
