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
from hashlib import blake2b
from struct import Struct
from struct import error as StructError

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from proxy.telemetry import failures
from proxy.telemetry.conventions import GEN_AI_OPERATIONS, ROUTES
from proxy.telemetry.options import Vendor
from proxy.telemetry.otlp_bytes import attributes, message, utf8, varint
from proxy.telemetry.span_attributes import Kind, Words, kind_of_attempt, kind_of_request
from proxy.telemetry.span_own import Common, Own
from proxy.wire.record import AttemptRecord, UsageRecord

_SAMPLED = 0x01
_HAS_IS_REMOTE = 0x100
_IS_REMOTE = 0x200

# Fields of a Span, and the tags of its ids and times, which come first.
_NAME, _KIND, _STATUS, _FLAGS = b"\x2a", b"\x30", b"\x7a", b"\x85\x01"
_STATUS_MESSAGE, _STATUS_CODE = b"\x12", b"\x18"
_head = Struct("<2s16s2s8ssQsQ").pack
_TRACE_ID, _SPAN_ID, _START, _END = b"\x0a\x10", b"\x12\x08", b"\x39", b"\x41"
_PARENT_ID = b"\x22\x08"

_ROOT = _FLAGS + (_SAMPLED | _HAS_IS_REMOTE).to_bytes(4, "little")
_OF_REMOTE = _FLAGS + (_SAMPLED | _HAS_IS_REMOTE | _IS_REMOTE).to_bytes(4, "little")

KINDS_KEPT = 1024
LONGEST_KEPT = 8192


class BadIds(ValueError):
    """A record whose trace or span ids are not hex of the right length."""


class Spans:
    """Makes spans. `names`: gen_ai, openinference, or both."""

    def __init__(self, names: Collection[str], vendors: Mapping[str, Vendor]) -> None:
        self._words = Words(names, vendors)
        self._own = Own(names)
        self._kept: dict[Kind, bytes] = {}

    def of(self, record: UsageRecord) -> list[bytes]:
        """The spans of a record that has ids, each an encoded `Span`. Raises ValueError (BadIds, a
        number beyond 64 bits) or TypeError (what is no text)."""
        trace, server = _id(record.trace, 16), _id(record.span, 8)
        common = self._own.common(record)
        spans = [self._server(record, trace, server, common)]
        parent = _PARENT_ID + server
        for number, attempt in enumerate(record.attempts, 1):
            own = attempt.span
            span = _id(own, 8) if own is not None else _made_up(server, number)
            kind = kind_of_attempt(record, attempt, number)
            alike = self._kept.get(kind)
            if alike is None:
                alike = self._keep(kind, self._client(record, attempt, number))
            begun, ended = attempt.started, max(attempt.started, attempt.ended)
            head = _beginning(trace, span, record.at + begun, record.at + ended)
            content = record.content if number == len(record.attempts) else None
            told = [head, parent, alike]
            self._own.of_attempt(told, record, attempt, common, content)
            spans.append(b"".join(told))
        return spans

    def _server(self, record: UsageRecord, trace: bytes, span: bytes, common: Common) -> bytes:
        kind = kind_of_request(record)
        alike = self._kept.get(kind)
        if alike is None:
            made = attributes(self._words.of_request(record))
            name, failed = server_name(record.operation), failures.of_request(record)
            alike = self._keep(kind, _alike(name, Span.SPAN_KIND_SERVER, failed) + made)
        flags = _ROOT
        if record.parent is not None:
            flags = b"%b%b%b" % (_OF_REMOTE, _PARENT_ID, _id(record.parent, 8))
        head = _beginning(trace, span, record.at, record.at + record.done)
        told = [head, flags, alike]
        self._own.of_request(told, record, common)
        return b"".join(told)

    def _client(self, record: UsageRecord, attempt: AttemptRecord, number: int) -> bytes:
        name = client_name(record.operation, attempt.model)
        alike = _alike(name, Span.SPAN_KIND_CLIENT, failures.of_attempt(attempt))
        made = attributes(self._words.of_attempt(record, attempt, number))
        return b"%b%b%b" % (_ROOT, alike, made)

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


def _beginning(trace: bytes, span: bytes, begun: int, ended: int) -> bytes:
    """Ids and times; these are microseconds."""
    begun, ended = (begun if begun > 0 else 0) * 1000, (ended if ended > 0 else 0) * 1000
    try:
        return _head(_TRACE_ID, trace, _SPAN_ID, span, _START, begun, _END, ended)
    except StructError:
        raise ValueError("a time beyond 64 bits") from None


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
