"""Where the next page of a report begins, as one opaque word.

It holds the period as it was settled with the first page, so that `since=7d` means the same seven
days on every page, and the last group that was told. It belongs to the question that it came from:
with another one it is refused, rather than answered with rows of which some are missing.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from proxy.base.jsonio import JSONError, dumps, loads
from proxy.core.accounting import Dimension, Group, UsageQuery
from proxy.usage.report import TIMES, Asked, BadQuery, query_of

_LONGEST = 16_384


def cursor_after(asked: Asked, query: UsageQuery, group: Group) -> str:
    """The cursor of the page behind `group`."""
    until = query.until.timestamp() if query.until is not None else None
    values = [int(v.timestamp()) if isinstance(v, datetime) else v for v in group]
    told = [_digest(asked), int(query.since.timestamp()), until and int(until), values]
    return base64.urlsafe_b64encode(dumps(told)).rstrip(b"=").decode()


def resumed(asked: Asked, cursor: str | None, now: datetime) -> tuple[UsageQuery, Group | None]:
    """The query, and the group behind which to go on. Raises BadQuery."""
    query = query_of(asked, now)
    if cursor is None:
        return query, None
    try:
        since, until, values = _opened(cursor, _digest(asked))
        settled = replace(query, since=_time(since), until=_time(until) if until else None)
        return settled, _group(query.by, values)
    except (ValueError, TypeError, OverflowError, OSError):
        raise BadQuery(
            "cursor", "must be the `next_cursor` of an answer to the same query"
        ) from None


def _opened(cursor: str, digest: str) -> Sequence[object]:
    if len(cursor) > _LONGEST:
        raise ValueError
    try:
        told = loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (binascii.Error, JSONError) as error:
        raise ValueError from error
    if not isinstance(told, list) or told[:1] != [digest]:
        raise ValueError
    return told[1:]


def _group(by: tuple[Dimension, ...], values: object) -> Group:
    if not isinstance(values, list):
        raise TypeError
    return tuple(
        _time(value) if dimension in TIMES else _name(value)
        for dimension, value in zip(by, values, strict=True)
    )


def _time(value: object) -> datetime:
    if not isinstance(value, int):
        raise TypeError
    return datetime.fromtimestamp(value, UTC)


def _name(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    return value


def _digest(asked: Asked) -> str:
    words = [asked.by, asked.since, asked.until, asked.where]
    # Whatever a caller writes must be sendable as JSON: lone surrogates are not.
    return hashlib.blake2b(repr(words).encode("utf-8", "replace"), digest_size=8).hexdigest()
