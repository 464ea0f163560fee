"""The access log: one line of JSON for each request, of metadata only.

No key, no prompt, no answer is in it: it is made from the record's names and numbers. What callers
choose themselves (the model they ask for, labels in headers) goes through the redactor, for a key
in a wrong field is still a key, and is cut. May be called by a worker: no look-up, no I/O.
"""

from datetime import UTC, datetime

from proxy.base.jsonio import dumps
from proxy.base.redact import redact
from proxy.telemetry.failures import reason_of
from proxy.wire.record import UsageRecord

_LONGEST = 128
_MICRO = 1_000_000


def access_line(record: UsageRecord) -> bytes:
    """The line, with its line break. What is empty, zero or false is left out of the second half;
    an absent `cost_nano_usd` means that there is no price."""
    line: dict[str, object] = {
        "time": datetime.fromtimestamp(record.at / _MICRO, UTC),
        "level": "info",
        "logger": "llm-proxy.access",
        "request": record.id,
        "operation": record.operation,
        "status": record.status,
        "outcome": record.outcome,
        "duration_ms": record.done / 1000,
    }
    line.update((name, value) for name, value in _details(record) if value)
    if record.cost is not None:
        line["cost_nano_usd"] = record.cost
    return dumps(line) + b"\n"


def _details(record: UsageRecord) -> tuple[tuple[str, object], ...]:
    usage = record.usage
    return (
        ("first_token_ms", _millis(record.first_token)),
        ("overhead_ms", _millis(record.overhead)),
        ("key", record.key),
        ("team", record.team),
        ("user", record.user),
        ("project", record.project),
        ("customer", _given(record.customer)),
        ("agent", _given(record.agent)),
        ("session", _given(record.session)),
        ("tags", [_given(tag) for tag in record.tags] if record.tags else None),
        ("model", record.model if record.model == record.route else _given(record.model)),
        ("provider", record.served_provider),
        ("served_model", _served_model(record)),
        ("rule", record.rule),
        ("attempts", len(record.attempts)),
        ("reasons", [why for each in record.attempts if (why := reason_of(each)) is not None]),
        ("error", record.error),
        ("code", record.code),
        ("stream", record.stream),
        ("cache", record.cache),
        ("bytes_in", record.bytes_in),
        ("bytes_out", record.bytes_out),
        ("tokens_in", usage.input if usage is not None else None),
        ("tokens_out", usage.output if usage is not None else None),
        ("usage_source", record.usage_source),
        ("trace", record.trace),
        ("span", record.span),
        ("worker", record.worker),
        ("config", record.config),
    )


def _millis(micros: int | None) -> float | None:
    return None if micros is None else micros / 1000


def _served_model(record: UsageRecord) -> str | None:
    # Behind a pattern the vendor's name is the caller's word.
    named = record.served_model
    return named if named == record.route else _given(named)


def _given(text: str | None) -> str | None:
    """What a caller wrote, made harmless."""
    if text is None:
        return None
    # First redacted, then cut: half a key is no longer known for one.
    clean = redact(text[: 4 * _LONGEST].encode("utf-8", "replace").decode())
    return clean if len(clean) <= _LONGEST else clean[:_LONGEST] + "…"
