"""From a record to spans: one SERVER span for the request, one CLIENT span for each attempt.

    POST /v1/chat/completions      SERVER, child of the caller's span
    ├── chat gpt-4o                CLIENT, failed
    └── chat claude-sonnet-4-5     CLIENT

Ids are the record's: vendors were sent those of the attempts. Tokens stand on the attempts only, so
that nobody who adds up spans counts them twice. Pure; prompts and answers only if the record has
them. Spans are made as bytes (docs/adr/0019): what spans of the same kind say alike is encoded once
and kept, bounded. `conventions.py` has the words, `span_attributes.py` and `span_own.py` what is
said.
"""

from collections.abc import Collection, Mapping
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from proxy.telemetry import failures
from proxy.telemetry.conventions import GEN_AI_OPERATIONS, ROUTES
from proxy.telemetry.options import Vendor
from proxy.telemetry.otlp_bytes import attributes, message, utf8, varint
from proxy.telemetry.span_attributes import Kind, Words, kind_of_attempt, kind_of_request
from proxy.telemetry.span_lot import LotSpans, Shapes
from proxy.telemetry.span_own import Common, Own
from proxy.telemetry.span_start import OF_REMOTE, ROOT, beginning, id_of, made_up
from proxy.wire.brief import Numbers
from proxy.wire.lots import Lot
from proxy.wire.record import AttemptRecord, UsageRecord

# Fields of a Span after its ids and times (span_start.py).
_NAME: Final = b"\x2a"
_KIND: Final = b"\x30"
_STATUS: Final = b"\x7a"
_STATUS_MESSAGE: Final = b"\x12"
_STATUS_CODE: Final = b"\x18"

KINDS_KEPT: Final = 1024
LONGEST_KEPT: Final = 8192


class Spans:
    """Makes spans. `names`: gen_ai, openinference, or both."""

    def __init__(self, names: Collection[str], vendors: Mapping[str, Vendor]) -> None:
        self._words = Words(names, vendors)
        self._own = Own(names)
        self._kept: dict[Kind, bytes] = {}
        self._shapes = Shapes(names)

    def of(self, record: UsageRecord) -> list[bytes]:
        """The spans of a record that has ids, each an encoded `Span`. Raises ValueError (BadIds, a
        number beyond 64 bits) or TypeError (what is no text)."""
        trace, server = id_of(record.trace, 16), id_of(record.span, 8)
        common = self._own.common(record)
        spans = [self._server(record, trace, server, common)]
        for number, attempt in enumerate(record.attempts, 1):
            own = attempt.span
            span = id_of(own, 8) if own is not None else made_up(server, number)
            alike = self._of_attempt(record, attempt, number)
            begun, ended = attempt.started, max(attempt.started, attempt.ended)
            head = beginning(trace, span, server, record.at + begun, record.at + ended)
            content = record.content if number == len(record.attempts) else None
            told = [head]
            self._own.of_attempt(told, record, attempt, common, content)
            told.append(alike)
            spans.append(b"".join(told))
        return spans

    def of_lot(self, lot: Lot) -> tuple[list[bytes], list[Numbers]]:
        """The spans of the records of a lot, `framed` and in pieces, and those that `of` has to be
        asked about."""
        first = lot.first
        server, client = self._of_request(first), self._of_attempt(first, first.attempts[0], 1)
        return LotSpans(lot, server, client, self._shapes).made()

    def _server(self, record: UsageRecord, trace: bytes, span: bytes, common: Common) -> bytes:
        parent = id_of(record.parent, 8) if record.parent is not None else None
        head = beginning(trace, span, parent, record.at, record.at + record.done)
        told = [head, ROOT if parent is None else OF_REMOTE]
        self._own.of_request(told, record, common)
        told.append(self._of_request(record))
        return b"".join(told)

    def _of_request(self, record: UsageRecord) -> bytes:
        """What the SERVER span says as all of its kind do."""
        kind = kind_of_request(record)
        alike = self._kept.get(kind)
        if alike is None:
            made = attributes(self._words.of_request(record))
            name, failed = server_name(record.operation), failures.of_request(record)
            alike = self._keep(kind, _alike(name, Span.SPAN_KIND_SERVER, failed) + made)
        return alike

    def _of_attempt(self, record: UsageRecord, attempt: AttemptRecord, number: int) -> bytes:
        """What a CLIENT span says as all of its kind do."""
        kind = kind_of_attempt(record, attempt, number)
        alike = self._kept.get(kind)
        if alike is None:
            name = client_name(record.operation, attempt.model)
            said = _alike(name, Span.SPAN_KIND_CLIENT, failures.of_attempt(attempt))
            made = attributes(self._words.of_attempt(record, attempt, number))
            alike = self._keep(kind, b"%b%b%b" % (ROOT, said, made))
        return alike

    def _keep(self, kind: Kind, alike: bytes) -> bytes:
        if len(alike) <= LONGEST_KEPT:
            if len(self._kept) >= KINDS_KEPT:
                self._kept.clear()
            self._kept[kind] = alike
        return alike


def server_name(operation: str) -> str:
    """`POST /v1/chat/completions`; names of spans never hold what a caller wrote."""
    method, path = ROUTES.get(operation, (None, "/v1/*"))
    return f"{method or 'HTTP'} {path}"


def client_name(operation: str, model: str) -> str:
    """`chat gpt-4o`."""
    return f"{GEN_AI_OPERATIONS.get(operation, operation)} {model}".rstrip()


def _alike(name: str, kind: int, error: str | None) -> bytes:
    """Name, kind and status of a span."""
    told = message(_NAME, utf8(name)) + _KIND + varint(kind)
    if error is None:
        return told
    status = message(_STATUS_MESSAGE, utf8(error)) + _STATUS_CODE + varint(Status.STATUS_CODE_ERROR)
    return told + message(_STATUS, status)
