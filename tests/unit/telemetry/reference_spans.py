"""Spans as protobuf objects, field by field: what `traces.py` did before it wrote bytes.

Slow and plain, and kept to judge it: for each record the bytes must parse to these spans. A new
attribute is written here as well.
"""

from collections.abc import Collection, Mapping
from hashlib import blake2b

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from proxy.base import jsonio
from proxy.telemetry import failures
from proxy.telemetry.attributes import Attributes, Value, fill, sendable
from proxy.telemetry.conventions import (
    GEN_AI_OPERATIONS,
    ROUTES,
    openinference_kind,
    openinference_model_key,
    vendor_name,
)
from proxy.telemetry.messages import input_messages, output_messages, system_instructions
from proxy.telemetry.options import Vendor
from proxy.telemetry.traces import client_name, server_name
from proxy.wire.record import AttemptRecord, Content, Cost, Usage, UsageRecord

_SAMPLED = 0x01
_HAS_IS_REMOTE = 0x100
_IS_REMOTE = 0x200
_NANO = 1e9
_MICRO = 1e6
_JSON = "application/json"
_TEXT = "text/plain"


class ReferenceWords:
    """Attributes of requests and attempts. `names`: gen_ai, openinference, or both."""

    def __init__(self, names: Collection[str], vendors: Mapping[str, Vendor]) -> None:
        self._gen_ai = "gen_ai" in names
        self._openinference = "openinference" in names
        self._vendors = vendors

    def of_request(self, record: UsageRecord) -> Attributes:
        """Of the SERVER span."""
        found = {**_http(record), **_ours(record)}
        if self._openinference:
            found["openinference.span.kind"] = "CHAIN"
            found |= _openinference_context(record)
            found |= _values(record.content)
        return found

    def of_attempt(self, record: UsageRecord, attempt: AttemptRecord, number: int) -> Attributes:
        """Of a CLIENT span; `number` counts from 1."""
        vendor = self._vendors.get(attempt.provider, Vendor(attempt.provider))
        found: dict[str, Value] = {
            "server.address": vendor.address,
            "server.port": vendor.port,
            "http.response.status_code": attempt.status or None,
            "http.request.resend_count": number - 1 if number > 1 else None,
            "error.type": failures.of_attempt(attempt),
            "llm_proxy.request_id": record.id,
            "llm_proxy.provider": attempt.provider,
            "llm_proxy.attempt": number,
            "llm_proxy.route": attempt.route,
            "llm_proxy.reason": failures.reason_of(attempt),
            "llm_proxy.rescue": attempt.rescue,
            "llm_proxy.hedge": attempt.hedge or None,
            "llm_proxy.usage_source": attempt.usage_source,
        }
        if attempt.cost is not None:
            found |= _money(attempt.cost.total)
        if record.operation not in GEN_AI_OPERATIONS:
            return found
        content = record.content if number == len(record.attempts) else None
        kind = vendor_name(vendor.kind)
        if self._gen_ai:
            found |= _gen_ai(record, attempt, kind)
            found |= _gen_ai_messages(content)
        if self._openinference:
            found |= _openinference(record, attempt, kind)
            found |= _openinference_context(record)
            found |= _values(content)
        return found


def _http(record: UsageRecord) -> dict[str, Value]:
    method, path = ROUTES.get(record.operation, (None, "/v1/*"))
    return {
        "http.request.method": method or "_OTHER",
        "http.route": path,
        "http.response.status_code": record.status or None,
        "http.request.body.size": record.bytes_in or None,
        "http.response.body.size": record.bytes_out or None,
        "error.type": failures.of_request(record),
    }


def _ours(record: UsageRecord) -> dict[str, Value]:
    found: dict[str, Value] = {
        "llm_proxy.request_id": record.id,
        "llm_proxy.operation": record.operation,
        "llm_proxy.outcome": record.outcome,
        "llm_proxy.error_code": record.code,
        "llm_proxy.key": record.key or None,
        "llm_proxy.team": record.team,
        "llm_proxy.user": record.user,
        "llm_proxy.project": record.project,
        "llm_proxy.customer": record.customer,
        "llm_proxy.agent": record.agent,
        "llm_proxy.session": record.session,
        "llm_proxy.tags": record.tags,
        "llm_proxy.model": record.model,
        "llm_proxy.route": record.route,
        "llm_proxy.rule": record.rule,
        "llm_proxy.served.provider": record.served_provider,
        "llm_proxy.served.model": record.served_model,
        "llm_proxy.stream": record.stream,
        "llm_proxy.cache": record.cache,
        "llm_proxy.attempts": len(record.attempts),
        "llm_proxy.usage_source": record.usage_source,
        "llm_proxy.unpriced": True if record.unpriced else None,
        "llm_proxy.time_to_first_token": _seconds(record.first_token),
        "llm_proxy.overhead": _seconds(record.overhead),
        "llm_proxy.worker": record.worker,
        "llm_proxy.config": record.config,
    }
    if record.cost is not None:
        found |= _money(record.cost)
    return found


def _money(nano: int) -> dict[str, Value]:
    return {"llm_proxy.cost_nano_usd": nano, "llm_proxy.cost_usd": nano / _NANO}


def _gen_ai(record: UsageRecord, attempt: AttemptRecord, kind: str) -> dict[str, Value]:
    first = attempt.first_byte
    wait = first - attempt.started if record.stream and first is not None else None
    found: dict[str, Value] = {
        "gen_ai.operation.name": GEN_AI_OPERATIONS[record.operation],
        "gen_ai.provider.name": kind,
        "gen_ai.request.model": attempt.model or None,
        "gen_ai.request.stream": True if record.stream else None,
        "gen_ai.response.time_to_first_chunk": _seconds(wait),
        "gen_ai.conversation.id": record.session,
    }
    usage = attempt.usage
    if usage is not None:
        found |= {
            "gen_ai.usage.input_tokens": usage.input,
            "gen_ai.usage.output_tokens": usage.output,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_read or None,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write or None,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning or None,
            "gen_ai.usage.audio.input_tokens": usage.audio_in or None,
            "gen_ai.usage.audio.output_tokens": usage.audio_out or None,
        }
    return found


def _gen_ai_messages(content: Content | None) -> dict[str, Value]:
    if content is None:
        return {}
    return {
        "gen_ai.system_instructions": system_instructions(content.input) if content.input else None,
        "gen_ai.input.messages": input_messages(content.input) if content.input else None,
        "gen_ai.output.messages": output_messages(content.output) if content.output else None,
    }


def _openinference(record: UsageRecord, attempt: AttemptRecord, kind: str) -> dict[str, Value]:
    span_kind = openinference_kind(record.operation)
    found: dict[str, Value] = {
        "openinference.span.kind": span_kind,
        openinference_model_key(span_kind): attempt.model or None,
        "llm.provider": kind,
    }
    if attempt.usage is not None:
        found |= _token_counts(attempt.usage)
    if attempt.cost is not None:
        found |= _costs(attempt.cost)
    return found


def _token_counts(usage: Usage) -> dict[str, Value]:
    return {
        "llm.token_count.prompt": usage.input,
        "llm.token_count.completion": usage.output,
        "llm.token_count.total": usage.input + usage.output,
        "llm.token_count.prompt_details.cache_read": usage.cached_read or None,
        "llm.token_count.prompt_details.cache_write": usage.cache_write or None,
        "llm.token_count.prompt_details.audio": usage.audio_in or None,
        "llm.token_count.completion_details.reasoning": usage.reasoning or None,
        "llm.token_count.completion_details.audio": usage.audio_out or None,
    }


def _costs(cost: Cost) -> dict[str, Value]:
    completion = cost.output + cost.reasoning + cost.audio_out + cost.images
    return {
        "llm.cost.prompt": (cost.total - completion) / _NANO,
        "llm.cost.completion": completion / _NANO,
        "llm.cost.total": cost.total / _NANO,
    }


def _openinference_context(record: UsageRecord) -> dict[str, Value]:
    known = {
        "request_id": record.id,
        "key": record.key,
        "team": record.team,
        "project": record.project,
        "customer": record.customer,
        "agent": record.agent,
    }
    metadata = {name: value for name, value in known.items() if value}
    return {
        "session.id": record.session,
        "user.id": record.user,
        "tag.tags": record.tags,
        "metadata": jsonio.dumps(metadata).decode(),
    }


def _values(content: Content | None) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if content is not None and content.input:
        found |= {"input.value": content.input, "input.mime_type": _mime(content.input)}
    if content is not None and content.output:
        found |= {"output.value": content.output, "output.mime_type": _mime(content.output)}
    return found


def _mime(text: str) -> str:
    return _JSON if text[:1] in {"{", "["} and text[-1:] in {"}", "]"} else _TEXT


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / _MICRO


class ReferenceSpans:
    """Makes spans, by the words that were configured."""

    def __init__(self, words: ReferenceWords) -> None:
        self._words = words

    def of(self, record: UsageRecord) -> list[Span]:
        """The spans of a record that has ids. Raises ValueError."""
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
            name=sendable(client_name(record.operation, attempt.model)),
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=_nanos(record.at + attempt.started),
            end_time_unix_nano=_nanos(record.at + max(attempt.started, attempt.ended)),
            status=_status(failures.of_attempt(attempt)),
        )
        fill(made.attributes, self._words.of_attempt(record, attempt, number))
        return made


def _status(error: str | None) -> Status | None:
    if error is None:
        return None
    return Status(code=Status.STATUS_CODE_ERROR, message=sendable(error))


def _nanos(micros: int) -> int:
    return max(0, micros) * 1000


def _id(text: str | None, length: int) -> bytes:
    try:
        octets = bytes.fromhex(text or "")
    except ValueError:
        raise ValueError("not hex") from None
    if len(octets) != length or not any(octets):
        raise ValueError(f"{len(octets)} bytes instead of {length}")
    return octets


def _made_up(server: bytes, number: int) -> bytes:
    """An id for an attempt that has none: the same each time it is told."""
    return blake2b(server + number.to_bytes(4, "big"), digest_size=8).digest()
