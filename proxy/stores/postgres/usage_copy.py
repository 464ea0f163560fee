"""Records as rows of the table `usage` in the binary form of COPY, made without a row in between.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". What rows of the same kind
have alike is encoded once and kept, bounded; therefore those columns come first. All numbers of a
row are packed at once. `usage_rows.py` says the same more slowly and is the judge of it
(`test_stores_copy.py`); it also makes the rows that cannot go this way.
"""

from collections.abc import Hashable, Iterable, Sequence
from struct import Struct
from struct import error as StructError
from typing import Any

import msgspec

from proxy.stores.postgres.usage_rows import attempts_text
from proxy.wire.brief import Numbers
from proxy.wire.lots import Lot
from proxy.wire.record import AttemptRecord, Usage, UsageRecord

_ALIKE = (
    *("worker", "config", "operation", "outcome", "status", "error", "code", "key", "team"),
    *("user_id", "project", "model", "route", "rule", "served_provider", "served_model"),
    *("stream", "cache", "usage_source", "unpriced", "prices", "sampled"),
)
_LABELS = ("customer", "agent", "session", "tags")
_NUMBERS = (
    *("at", "done_us", "bytes_in", "bytes_out", "arrived_us"),
    *("input_tokens", "output_tokens", "cached_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "audio_in_tokens", "audio_out_tokens", "images"),
)
_PERHAPS = ("admitted_us", "first_token_us", "overhead_us", "cost")
_TEXTS = ("id", "trace", "span", "parent", "attempts")
_CONTENT = ("content_input", "content_output")
NAMES = (*_ALIKE, *_LABELS, *_NUMBERS, *_PERHAPS, *_TEXTS, *_CONTENT)
"""The columns, in the order of the rows."""

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"

KINDS_KEPT = 1024
LONGEST_KEPT = 8192

_EPOCH = 946_684_800_000_000  # Microseconds from 1970 to PostgreSQL's beginning of time.
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # The years 1 to 9999.
_NULL = b"\xff\xff\xff\xff"
_NO_CONTENT = 2 * _NULL
_NO_USAGE = Usage()
_JSONB = b"\x01"  # Its version.
_TEXT_OID = 25

_count = Struct(">h").pack
_length = Struct(">i").pack
_int4 = Struct(">ii").pack
_int8 = Struct(">iq").pack
_numbers = Struct(">" + "iq" * len(_NUMBERS)).pack
_array = Struct(">iiiii").pack
_NO_TAGS = _length(12) + _length(0) + _length(0) + _length(_TEXT_OID)
_json = msgspec.json.Encoder().encode

_SIX_ZEROS = 6 * _int8(8, 0)  # Tokens of other kinds than text, and images.
_all_of_lot = Struct(">" + 7 * "iq" + f"{len(_SIX_ZEROS)}s" + 4 * "iq" + "i").pack
_ATTEMPT = (
    b'%b,"started":%d,"ended":%d,"head":%d,"first_byte":%d,"status":200,'
    b'"usage":{"input":%d,"output":%d},"usage_source":"upstream",'
    b'"cost":{"total":%d,"input":%d,"output":%d},"span":%b%b}]'
)
"""Of a record in a lot, as `_json` writes it."""

Kind = tuple[Hashable, ...]


class CopyRows:
    """Encodes rows. One at a time; keeps what rows have in common."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Kind, bytes] = {}

    def of(self, records: Iterable[UsageRecord], lots: Iterable[Lot] = ()) -> bytes:
        """All of them, as COPY reads them. Raises OverflowError for a number or a time that the
        table cannot hold, UnicodeEncodeError for a text."""
        try:
            rows = [self._row(each) for each in records]
            for lot in lots:
                rows += LotRows(lot, self._alike(lot.first)).rows()
        except StructError as error:
            raise OverflowError(str(error)) from None
        return b"%b%b%b" % (HEAD, b"".join(rows), END)

    def _row(self, record: UsageRecord) -> bytes:
        alike = self._alike(record)
        attempts, content = _attempts(record), record.content
        name, trace = record.id.encode(), (record.trace or "").encode()
        span, parent = (record.span or "").encode(), (record.parent or "").encode()
        return b"".join(
            (
                alike,
                _labels(record),
                _all_numbers(record),
                _perhaps(record.admitted),
                _perhaps(record.first_token),
                _perhaps(record.overhead),
                _perhaps(record.cost),
                _length(len(name)),
                name,
                _length(len(trace)),
                trace,
                _length(len(span)),
                span,
                _length(len(parent)),
                parent,
                _length(len(attempts) + 1),
                _JSONB,
                attempts,
                _NO_CONTENT
                if content is None
                else _text_or_null(content.input) + _text_or_null(content.output),
            )
        )

    def _alike(self, record: UsageRecord) -> bytes:
        kind = _kind(record)
        alike = self._kept.get(kind)
        return self._keep(kind) if alike is None else alike

    def _keep(self, kind: Kind) -> bytes:
        alike = _count(len(NAMES)) + b"".join(map(_value, kind))
        if len(alike) <= LONGEST_KEPT:
            if len(self._kept) >= KINDS_KEPT:
                self._kept.clear()
            self._kept[kind] = alike
        return alike


class LotRows:
    """The rows of one lot. `alike`: how each begins."""

    __slots__ = ("_alike", "_attempt", "_lot", "_route")

    def __init__(self, lot: Lot, alike: bytes) -> None:
        (attempt,) = lot.first.attempts
        self._lot = lot
        self._alike = alike + _labels(lot.first)
        self._attempt = b'[{"provider":%b,"model":%b' % (
            _json(attempt.provider),
            _json(attempt.model),
        )
        self._route = b"" if attempt.route is None else b',"route":%b' % _json(attempt.route)

    def rows(self) -> list[bytes]:
        """All of them. Raises OverflowError, UnicodeEncodeError or StructError."""
        return [self._row(each) for each in self._lot.numbers]

    def _row(self, x: Numbers) -> bytes:
        at = x.at
        if not _FIRST <= at <= _LAST:
            raise OverflowError("a time beyond the years 1 to 9999")
        attempts = self._attempts(x)
        name, trace = x.id.encode(), (x.trace or "").encode()
        span, parent = (x.span or "").encode(), (x.parent or "").encode()
        return b"".join(
            (
                self._alike,
                _all_of_lot(
                    8,
                    at - _EPOCH,
                    8,
                    x.done,
                    8,
                    x.bytes_in,
                    8,
                    x.bytes_out,
                    8,
                    x.arrived,
                    8,
                    x.input,
                    8,
                    x.output,
                    _SIX_ZEROS,
                    8,
                    x.admitted,
                    8,
                    x.first_token,
                    8,
                    x.overhead,
                    8,
                    x.cost,
                    len(name),
                ),
                name,
                _length(len(trace)),
                trace,
                _length(len(span)),
                span,
                _length(len(parent)),
                parent,
                _length(len(attempts) + 1),
                _JSONB,
                attempts,
                _NO_CONTENT,
            )
        )

    def _attempts(self, x: Numbers) -> bytes:
        of_output = x.cost - x.cost_input
        if not (x.head and x.first_token and x.input and x.output and x.cost and of_output):
            return _attempts(self._lot.whole(x))  # What is 0 is told otherwise.
        if not x.cost_input or x.attempt is None:
            return _attempts(self._lot.whole(x))
        return _ATTEMPT % (
            self._attempt,
            x.started,
            x.done,
            x.head,
            x.first_token,
            x.input,
            x.output,
            x.cost,
            x.cost_input,
            of_output,
            _json(x.attempt),
            self._route,
        )


def _kind(record: UsageRecord) -> Kind:
    """The values of _ALIKE."""
    return (
        record.worker,
        record.config,
        record.operation,
        record.outcome,
        record.status,
        record.error,
        record.code,
        record.key,
        record.team,
        record.user,
        record.project,
        record.model,
        record.route,
        record.rule,
        record.served_provider,
        record.served_model,
        record.stream,
        record.cache,
        record.usage_source,
        record.unpriced,
        record.prices,
        record.sampled,
    )


def _value(value: Any) -> bytes:
    """A column of those that are alike: a text that may be missing, a flag, an integer."""
    if value is None:
        return _text("")
    if isinstance(value, str):
        return _text(value)
    return _length(1) + bytes((value,)) if isinstance(value, bool) else _int4(4, value)


def _text(text: str) -> bytes:
    octets = text.encode()
    return _length(len(octets)) + octets


def _text_or_null(text: str | None) -> bytes:
    return _NULL if text is None else _text(text)


def _labels(record: UsageRecord) -> bytes:
    customer, agent, session = record.customer or "", record.agent or "", record.session or ""
    return _text(customer) + _text(agent) + _text(session) + _tags(record.tags)


def _tags(tags: Sequence[str]) -> bytes:
    if not tags:
        return _NO_TAGS
    array = _array(1, 0, _TEXT_OID, len(tags), 1) + b"".join(map(_text, tags))
    return _length(len(array)) + array


def _all_numbers(record: UsageRecord) -> bytes:
    at, usage = record.at, record.usage or _NO_USAGE
    if not _FIRST <= at <= _LAST:
        raise OverflowError("a time beyond the years 1 to 9999")
    return _numbers(
        *(8, at - _EPOCH, 8, record.done, 8, record.bytes_in, 8, record.bytes_out),
        *(8, record.arrived, 8, usage.input, 8, usage.output, 8, usage.cached_read),
        *(8, usage.cache_write, 8, usage.reasoning, 8, usage.audio_in, 8, usage.audio_out),
        *(8, usage.images),
    )


def _perhaps(number: int | None) -> bytes:
    return _NULL if number is None else _int8(8, number)


def _attempts(record: UsageRecord) -> bytes:
    attempts = record.attempts
    for attempt in attempts:
        if _has_zeros(attempt):
            return attempts_text(attempts)
    return _json(attempts)


def _has_zeros(attempt: AttemptRecord) -> bool:
    """Whether it has what the table leaves out and a line of the spool does not."""
    return attempt.head == 0 or attempt.first_byte == 0
