"""What an exchange becomes in the record: times, outcome, tokens, cost of every attempt."""

from asyncio import CancelledError
from dataclasses import dataclass

from proxy.base.clock import monotonic, wall
from proxy.base.errors import CallerError, ProxyError, Unreachable, UpstreamError
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.upload import FormUpload, StreamUpload
from proxy.usage.pricer import Pricer
from proxy.wire.body import Body
from proxy.wire.record import AttemptRecord, Outcome, Usage, UsageRecord, UsageSource
from proxy.wire.usage import estimate, read_usage

_MICRO = 1_000_000
_CLIENT_GONE = 499  # As nginx logs it; no caller ever sees it.
_LONGEST_LABEL = 128


@dataclass(frozen=True, slots=True)
class Identity:
    """Who writes the records, by which configuration."""

    worker: str


def record_of_exchange(x: Exchange, identity: Identity, pricer: Pricer) -> UsageRecord:
    """The record of an exchange that ends now."""
    now = monotonic()
    received = x.received
    outcome, status = _outcome(x)
    attempts = _attempts(x, now, outcome, pricer)
    usage = _sum(attempts)
    costs = [a.cost.total for a in attempts if a.cost is not None]
    unpriced = any(a.usage is not None and a.cost is None for a in attempts)
    last = x.attempts[-1] if x.attempts else None
    error = x.error
    caller = x.caller
    headers = x.incoming.headers
    return UsageRecord(
        id=x.id,
        at=int(wall() * _MICRO) - _micro(now - received),
        worker=identity.worker,
        config=x.runtime.version,
        operation=x.operation.name,
        outcome=outcome,
        status=status,
        done=_micro(now - received),
        key=caller.name,
        team=caller.team,
        user=caller.user,
        project=caller.project,
        customer=_label(headers.get("x-llm-proxy-customer")),
        agent=_label(headers.get("x-llm-proxy-agent")),
        session=_label(headers.get("x-llm-proxy-session")),
        tags=_tags(caller.tags, headers.get("x-llm-proxy-tags")),
        model=x.model,
        route=x.route.model if x.route is not None else None,
        served_provider=last.provider if last is not None and x.reply is not None else None,
        served_model=(last.model or None) if last is not None and x.reply is not None else None,
        error=outcome if outcome == "client_gone" else _error(error),
        code=error.code if isinstance(error, ProxyError) else None,
        stream=x.stream,
        bytes_in=_bytes_in(x),
        bytes_out=x.tail.total or (len(x.reply.body) if x.reply is not None else 0),
        arrived=_micro(x.arrived - received),
        admitted=_since(received, x.admitted),
        first_token=_since(received, x.first_byte),
        overhead=_overhead(x),
        usage=usage,
        usage_source=_worst([a.usage_source for a in attempts]),
        cost=None if unpriced or (usage is not None and not costs) else sum(costs),
        unpriced=unpriced,
        prices=pricer.version,
        attempts=tuple(attempts),
        trace=x.trace.trace,
        span=x.trace.span,
        parent=x.trace.parent,
        sampled=x.trace.sampled,
    )


def _outcome(x: Exchange) -> tuple[Outcome, int]:
    error = x.error
    if x.finished:
        return "completed", x.reply.status if x.reply is not None else 200
    if isinstance(error, CancelledError | ConnectionError):
        return "client_gone", _CLIENT_GONE
    if x.reply is not None and isinstance(error, UpstreamError):
        return "upstream_cut", x.reply.status
    if isinstance(error, CallerError):
        return "refused", error.status
    return "failed", error.status if isinstance(error, ProxyError) else 500


def _attempts(x: Exchange, now: float, outcome: Outcome, pricer: Pricer) -> list[AttemptRecord]:
    records = []
    final = len(x.attempts) - 1
    for place, attempt in enumerate(x.attempts):
        usage, source = (
            _usage_of_last(x, attempt) if place == final else _usage_of_failed(x, attempt)
        )
        error = attempt.error
        if error is None and place == final and outcome != "completed":
            error = outcome
        records.append(
            AttemptRecord(
                provider=attempt.provider,
                model=attempt.model,
                started=_micro(attempt.started - x.received),
                ended=_micro((attempt.ended or now) - x.received),
                head=_since(x.received, attempt.head),
                first_byte=_since(x.received, attempt.first_byte),
                status=attempt.status,
                error=error,
                usage=usage,
                usage_source=source,
                cost=pricer.cost(attempt, usage) if usage is not None else None,
                span=attempt.span,
            )
        )
    return records


def _usage_of_last(x: Exchange, attempt: Attempt) -> tuple[Usage | None, UsageSource | None]:
    """Tokens of the attempt whose answer was relayed, or was to be."""
    if not x.operation.has_usage:
        return None, None
    text = x.tail.usage() if attempt.first_byte else None
    if text is not None and (found := read_usage(text)) is not None:
        return found, "upstream"
    if not attempt.first_byte:
        return _usage_of_failed(x, attempt)
    if not 200 <= attempt.status < 300:
        return None, None
    return estimate(_bytes_in(x), x.tail.text_bytes()), "estimated"


def _usage_of_failed(x: Exchange, attempt: Attempt) -> tuple[Usage | None, UsageSource | None]:
    """A vendor that took the request and never answered may charge for having read it."""
    took_it = attempt.error not in {None, Unreachable.kind} and attempt.status == 0
    gone = attempt.error is None and attempt.status == 0
    if x.operation.has_usage and (took_it or gone):
        return estimate(_bytes_in(x), 0), "estimated"
    return None, None


def _sum(attempts: list[AttemptRecord]) -> Usage | None:
    used = [a.usage for a in attempts if a.usage is not None]
    if len(used) < 2:
        return used[0] if used else None
    fields = Usage.__struct_fields__
    return Usage(**{name: sum(getattr(each, name) for each in used) for name in fields})


def _worst(sources: list[UsageSource | None]) -> UsageSource | None:
    order: tuple[UsageSource, ...] = ("estimated", "counted", "upstream")
    return next((source for source in order if source in sources), None)


def _error(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return error.kind if isinstance(error, ProxyError) else type(error).__name__


def _overhead(x: Exchange) -> int | None:
    if not x.first_byte or not x.attempts:
        return None
    return max(0, _micro(x.attempts[0].started - x.arrived))


def _bytes_in(x: Exchange) -> int:
    body = x.body
    if isinstance(body, Body):
        return len(body.raw)
    if isinstance(body, FormUpload | StreamUpload):
        return body.length or 0
    return 0


def _label(text: str | None) -> str | None:
    if not text or not text.isprintable():
        return None
    return text[:_LONGEST_LABEL]


def _tags(own: tuple[str, ...], given: str | None) -> tuple[str, ...]:
    if given is None:
        return own
    named = (_label(tag.strip()) for tag in given[: 16 * _LONGEST_LABEL].split(","))
    return tuple(dict.fromkeys((*own, *(tag for tag in named if tag))))[:16]


def _since(start: float, moment: float) -> int | None:
    return _micro(moment - start) if moment else None


def _micro(seconds: float) -> int:
    return int(seconds * _MICRO)
