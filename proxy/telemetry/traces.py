"""From a record to spans: one SERVER span for the request, one CLIENT span for each attempt.

    POST /v1/chat/completions      SERVER, child of the caller's span
    ├── chat gpt-4o                CLIENT, failed
    └── chat claude-sonnet-4-5     CLIENT

Ids are the record's: vendors were sent those of the attempts. Tokens stand on the attempts only, so
that nobody who adds up spans counts them twice. Pure; prompts and answers only if the record has
them. `conventions.py` has the words, `span_attributes.py` what is said.
"""

from hashlib import blake2b

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from proxy.telemetry import failures
from proxy.telemetry.attributes import fill
from proxy.telemetry.conventions import GEN_AI_OPERATIONS, ROUTES
from proxy.telemetry.span_attributes import Words
from proxy.wire.record import AttemptRecord, UsageRecord

_SAMPLED = 0x01
_HAS_IS_REMOTE = 0x100
_IS_REMOTE = 0x200


class BadIds(ValueError):
    """A record whose trace or span ids are not hex of the right length."""


class Spans:
    """Makes spans, by the words that were configured."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def of(self, record: UsageRecord) -> list[Span]:
        """The spans of a record that has ids. Raises BadIds."""
        trace, server = _id(record.trace, 16), _id(record.span, 8)
        spans = [self._server(record, trace, server)]
        for number, attempt in enumerate(record.attempts, 1):
            spans.append(self._client(record, attempt, number, (trace, server)))
        return spans

    def _server(self, record: UsageRecord, trace: bytes, span: bytes) -> Span:
        parent = _id(record.parent, 8) if record.parent is not None else b""
        made = Span(
            trace_id=trace,
            span_id=span,
            parent_span_id=parent,
            flags=_SAMPLED | _HAS_IS_REMOTE | (_IS_REMOTE if parent else 0),
            name=server_name(record.operation),
            kind=Span.SPAN_KIND_SERVER,
            start_time_unix_nano=_nanos(record.at),
            end_time_unix_nano=_nanos(record.at + record.done),
            status=_status(failures.of_request(record)),
        )
        fill(made.attributes, self._words.of_request(record))
        return made

    def _client(
        self, record: UsageRecord, attempt: AttemptRecord, number: int, ids: tuple[bytes, bytes]
    ) -> Span:
        trace, server = ids
        own = attempt.span
        made = Span(
            trace_id=trace,
            span_id=_id(own, 8) if own is not None else _made_up(server, number),
            parent_span_id=server,
            flags=_SAMPLED | _HAS_IS_REMOTE,
            name=client_name(record.operation, attempt.model),
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=_nanos(record.at + attempt.started),
            end_time_unix_nano=_nanos(record.at + max(attempt.started, attempt.ended)),
            status=_status(failures.of_attempt(attempt)),
        )
        fill(made.attributes, self._words.of_attempt(record, attempt, number))
        return made


def server_name(operation: str) -> str:
    """`POST /v1/chat/completions`; names of spans never hold what a caller wrote."""
    method, path = ROUTES.get(operation, (None, "/v1/*"))
    return f"{method or 'HTTP'} {path}"


def client_name(operation: str, model: str) -> str:
    """`chat gpt-4o`."""
    return f"{GEN_AI_OPERATIONS.get(operation, operation)} {model}".rstrip()


def _status(error: str | None) -> Status | None:
    if error is None:
        return None
    return Status(code=Status.STATUS_CODE_ERROR, message=error)


def _nanos(micros: int) -> int:
    return max(0, micros) * 1000


def _id(text: str | None, length: int) -> bytes:
    try:
        octets = bytes.fromhex(text or "")
    except ValueError:
        raise BadIds("not hex") from None
    if len(octets) != length or not any(octets):
        raise BadIds(f"{len(octets)} bytes instead of {length}")
    return octets


def _made_up(server: bytes, number: int) -> bytes:
    """An id for an attempt that has none: the same each time it is told."""
    return blake2b(server + number.to_bytes(4, "big"), digest_size=8).digest()
