"""What many spans say alike: who asked for what, who answered, how it ended.

Three vocabularies side by side, each complete in itself. Always: HTTP's conventions and ours
(`llm_proxy.*`). If asked: `gen_ai.*` and OpenInference. What one span says alone, its ids, numbers
and labels, is in `span_own.py`.

Kinds: of two spans of the same kind these attributes are the same, so that they are made once. What
is read here of a record or an attempt therefore stands in its kind.
"""

from collections.abc import Collection, Hashable, Mapping

from proxy.telemetry import failures
from proxy.telemetry.attributes import Attributes, Value
from proxy.telemetry.conventions import (
    GEN_AI_OPERATIONS,
    ROUTES,
    openinference_kind,
    openinference_model_key,
    vendor_name,
)
from proxy.telemetry.options import Vendor
from proxy.wire.record import AttemptRecord, UsageRecord

Kind = tuple[Hashable, ...]


def kind_of_request(record: UsageRecord) -> Kind:
    """Of the SERVER span."""
    return (
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
        len(record.attempts),
        record.usage_source,
        record.unpriced,
        record.worker,
        record.config,
    )


def kind_of_attempt(record: UsageRecord, attempt: AttemptRecord, number: int) -> Kind:
    """Of a CLIENT span."""
    return (
        record.operation,
        record.stream,
        record.user,
        number,
        attempt.provider,
        attempt.model,
        attempt.status,
        attempt.error,
        attempt.reason,
        attempt.rescue,
        attempt.route,
        attempt.hedge,
        attempt.usage_source,
    )


class Words:
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
            found["user.id"] = record.user
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
            "llm_proxy.provider": attempt.provider,
            "llm_proxy.attempt": number,
            "llm_proxy.route": attempt.route,
            "llm_proxy.reason": failures.reason_of(attempt),
            "llm_proxy.rescue": attempt.rescue,
            "llm_proxy.hedge": attempt.hedge or None,
            "llm_proxy.usage_source": attempt.usage_source,
        }
        if record.operation not in GEN_AI_OPERATIONS:
            return found
        kind = vendor_name(vendor.kind)
        if self._gen_ai:
            found |= _gen_ai(record, attempt, kind)
        if self._openinference:
            span_kind = openinference_kind(record.operation)
            found["openinference.span.kind"] = span_kind
            found[openinference_model_key(span_kind)] = attempt.model or None
            found["llm.provider"] = kind
            found["user.id"] = record.user
        return found


def _http(record: UsageRecord) -> dict[str, Value]:
    method, path = ROUTES.get(record.operation, (None, "/v1/*"))
    return {
        "http.request.method": method or "_OTHER",
        "http.route": path,
        "http.response.status_code": record.status or None,
        "error.type": failures.of_request(record),
    }


def _ours(record: UsageRecord) -> dict[str, Value]:
    return {
        "llm_proxy.operation": record.operation,
        "llm_proxy.outcome": record.outcome,
        "llm_proxy.error_code": record.code,
        "llm_proxy.key": record.key or None,
        "llm_proxy.team": record.team,
        "llm_proxy.user": record.user,
        "llm_proxy.project": record.project,
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
        "llm_proxy.worker": record.worker,
        "llm_proxy.config": record.config,
    }


def _gen_ai(record: UsageRecord, attempt: AttemptRecord, kind: str) -> dict[str, Value]:
    return {
        "gen_ai.operation.name": GEN_AI_OPERATIONS[record.operation],
        "gen_ai.provider.name": kind,
        "gen_ai.request.model": attempt.model or None,
        "gen_ai.request.stream": True if record.stream else None,
    }
