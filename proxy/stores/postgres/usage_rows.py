"""From a usage record to a row of the table `usage`: names, types and values of its columns.

Names that are not known become '', so that reports need no special case. What PostgreSQL cannot
hold in a text (the NUL character) is replaced where that is asked for: a caller must not be able to
leave the books by a strange name.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from proxy.base.jsonio import dumps, loads
from proxy.wire.record import AttemptRecord, Content, Cost, Usage, UsageRecord

Row = tuple[Any, ...]

COLUMNS: tuple[tuple[str, str], ...] = (
    ("at", "timestamptz"),
    ("id", "text"),
    ("worker", "text"),
    ("config", "text"),
    ("operation", "text"),
    ("outcome", "text"),
    ("status", "integer"),
    ("error", "text"),
    ("code", "text"),
    ("key", "text"),
    ("team", "text"),
    ("user_id", "text"),
    ("project", "text"),
    ("customer", "text"),
    ("agent", "text"),
    ("session", "text"),
    ("tags", "text[]"),
    ("model", "text"),
    ("route", "text"),
    ("rule", "text"),
    ("served_provider", "text"),
    ("served_model", "text"),
    ("stream", "boolean"),
    ("cache", "text"),
    ("bytes_in", "bigint"),
    ("bytes_out", "bigint"),
    ("arrived_us", "bigint"),
    ("admitted_us", "bigint"),
    ("first_token_us", "bigint"),
    ("done_us", "bigint"),
    ("overhead_us", "bigint"),
    ("input_tokens", "bigint"),
    ("output_tokens", "bigint"),
    ("cached_read_tokens", "bigint"),
    ("cache_write_tokens", "bigint"),
    ("reasoning_tokens", "bigint"),
    ("audio_in_tokens", "bigint"),
    ("audio_out_tokens", "bigint"),
    ("images", "bigint"),
    ("usage_source", "text"),
    ("cost", "bigint"),
    ("unpriced", "boolean"),
    ("prices", "text"),
    ("attempts", "jsonb"),
    ("trace", "text"),
    ("span", "text"),
    ("parent", "text"),
    ("sampled", "boolean"),
    ("content_input", "text"),
    ("content_output", "text"),
)
NAMES = tuple(name for name, _ in COLUMNS)
TAGS = NAMES.index("tags")
ATTEMPTS = NAMES.index("attempts")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_USAGE = Usage()
_NO_CONTENT = Content()
_USAGE_FIELDS = Usage.__struct_fields__
_COST_FIELDS = Cost.__struct_fields__
_ATTEMPT_FIELDS = (
    *("head", "first_byte", "status", "error", "usage_source", "span"),
    *("reason", "rescue", "route", "hedge"),
)


def when(microseconds: int) -> datetime:
    """A time of a record. Raises OverflowError beyond the years 1 to 9999."""
    return _EPOCH + timedelta(microseconds=microseconds)


def row_of(record: UsageRecord) -> Row:
    """The values of a record, in the order of COLUMNS. Raises OverflowError."""
    usage = record.usage or _NO_USAGE
    content = record.content or _NO_CONTENT
    return (
        when(record.at),
        record.id,
        record.worker,
        record.config,
        record.operation,
        record.outcome,
        record.status,
        record.error or "",
        record.code or "",
        record.key,
        record.team or "",
        record.user or "",
        record.project or "",
        record.customer or "",
        record.agent or "",
        record.session or "",
        record.tags,
        record.model or "",
        record.route or "",
        record.rule or "",
        record.served_provider or "",
        record.served_model or "",
        record.stream,
        record.cache or "",
        record.bytes_in,
        record.bytes_out,
        record.arrived,
        record.admitted,
        record.first_token,
        record.done,
        record.overhead,
        usage.input,
        usage.output,
        usage.cached_read,
        usage.cache_write,
        usage.reasoning,
        usage.audio_in,
        usage.audio_out,
        usage.images,
        record.usage_source or "",
        record.cost,
        record.unpriced,
        record.prices or "",
        attempts_text(record.attempts).decode(),
        record.trace or "",
        record.span or "",
        record.parent or "",
        record.sampled,
        content.input,
        content.output,
    )


def attempts_text(attempts: Iterable[AttemptRecord]) -> bytes:
    """The value of the column `attempts`."""
    return dumps([_attempt(each) for each in attempts])


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    fields = {
        "provider": attempt.provider,
        "model": attempt.model,
        "started": attempt.started,
        "ended": attempt.ended,
    } | _known(attempt, _ATTEMPT_FIELDS)
    if attempt.usage is not None:
        fields["usage"] = _known(attempt.usage, _USAGE_FIELDS)
    if attempt.cost is not None:
        fields["cost"] = _known(attempt.cost, _COST_FIELDS)
    return fields


def _known(value: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: got for name in names if (got := getattr(value, name)) is not None and got != 0}


def without_nul(row: Row) -> Row:
    """The row as PostgreSQL can take it: U+FFFD for each NUL, within JSON as well."""
    values = [clean(value) for value in row]
    values[ATTEMPTS] = dumps(clean(loads(row[ATTEMPTS]))).decode()
    return tuple(values)


def clean(value: Any) -> Any:
    """Text, or lists and objects of it, with U+FFFD for each NUL."""
    match value:
        case str():
            return value.replace("\0", "\ufffd")
        case tuple() | list():
            return [clean(each) for each in value]
        case dict():
            return {name: clean(each) for name, each in value.items()}
        case _:
            return value


def columns_of(rows: Sequence[Row]) -> list[list[Any]]:
    """The same values as one list per column, tags as PostgreSQL writes arrays: a list of lists
    would lose its shape in unnest."""
    columns: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)]
    columns[TAGS] = [_array(tags) for tags in columns[TAGS]]
    return columns


def _array(tags: Iterable[str]) -> str:
    quoted = (tag.replace("\\", "\\\\").replace('"', '\\"') for tag in tags)
    return "{" + ",".join(f'"{tag}"' for tag in quoted) + "}"
