"""What an exchange becomes in the record: times, outcome, tokens, cost of every attempt."""

from asyncio import CancelledError
from dataclasses import dataclass
from typing import NamedTuple

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
    """The record of an exchange that ends now. On the hot path: what is usual comes first."""
    now = monotonic()
    received = x.received
    done = int((now - received) * _MICRO)
    outcome, status = _outcome(x)
    attempts = _attempts(x, now, outcome, pricer)
    spent = _spent(attempts)
    reply, error, caller, trace = x.reply, x.error, x.caller, x.trace
    served = x.attempts[-1] if reply is not None and x.attempts else None
    label = x.incoming.headers.get
    return UsageRecord(
        id=x.id,
        at=int(wall() * _MICRO) - done,
        worker=identity.worker,
        config=x.runtime.version,
        operation=x.operation.name,
        outcome=outcome,
        status=status,
        done=done,
        key=caller.name,
        team=caller.team,
        user=caller.user,
        project=caller.project,
        customer=_label(label("x-llm-proxy-customer")),
        agent=_label(label("x-llm-proxy-agent")),
        session=_label(label("x-llm-proxy-session")),
        tags=_tags(caller.tags, label("x-llm-proxy-tags")),
        model=x.model,
        route=x.route.model if x.route is not None else None,
        served_provider=served.provider if served is not None else None,
        served_model=(served.model or None) if served is not None else None,
        error=None if error is None else _error(error, outcome),
        code=error.code if isinstance(error, ProxyError) else None,
        stream=x.stream,
        bytes_in=_bytes_in(x),
        bytes_out=x.tail.total or (len(reply.body) if reply is not None else 0),
        arrived=int((x.arrived - received) * _MICRO),
        admitted=int((x.admitted - received) * _MICRO) if x.admitted else None,
        first_token=int((x.first_byte - received) * _MICRO) if x.first_byte else None,
        overhead=_overhead(x),
        usage=spent.usage,
        usage_source=spent.source,
        cost=spent.cost,
        unpriced=spent.unpriced,
        prices=pricer.version,
        attempts=attempts,
        trace=trace.trace,
        span=trace.span,
        parent=trace.parent,
        sampled=trace.sampled,
        content=x.content,
    )


class _Spent(NamedTuple):
    """Of all attempts together."""

    usage: Usage | None
    source: UsageSource | None
    cost: int | None
    unpriced: bool


_NOTHING = _Spent(None, None, 0, False)


def _spent(attempts: tuple[AttemptRecord, ...]) -> _Spent:
    if not attempts:
        return _NOTHING
    if len(attempts) == 1:
        (only,) = attempts
        if only.usage is None:
            return _NOTHING
        if only.cost is None:
            return _Spent(only.usage, only.usage_source, None, True)
        return _Spent(only.usage, only.usage_source, only.cost.total, False)
    unpriced = any(a.usage is not None and a.cost is None for a in attempts)
    cost = None if unpriced else sum(a.cost.total for a in attempts if a.cost is not None)
    return _Spent(_sum(attempts), _worst([a.usage_source for a in attempts]), cost, unpriced)


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


def _attempts(
    x: Exchange, now: float, outcome: Outcome, pricer: Pricer
) -> tuple[AttemptRecord, ...]:
    if not x.attempts:
        return ()
    *failed, last = x.attempts
    usage, source = _usage_of_last(x, last)
    error = last.error or (None if outcome == "completed" else outcome)
    final = _attempt(x, last, last.ended or now, error, (usage, source), pricer)
    if not failed:
        return (final,)
    before = [
        _attempt(x, each, each.ended or now, each.error, _usage_of_failed(x, each), pricer)
        for each in failed
    ]
    return (*before, final)


def _attempt(  # noqa: PLR0917 - One caller above; a bundle would be made per request.
    x: Exchange,
    attempt: Attempt,
    ended: float,
    error: str | None,
    used: tuple[Usage | None, UsageSource | None],
    pricer: Pricer,
) -> AttemptRecord:
    received = x.received
    usage, source = used
    return AttemptRecord(
        provider=attempt.provider,
        model=attempt.model,
        started=int((attempt.started - received) * _MICRO),
        ended=int((ended - received) * _MICRO),
        head=int((attempt.head - received) * _MICRO) if attempt.head else None,
        first_byte=int((attempt.first_byte - received) * _MICRO) if attempt.first_byte else None,
        status=attempt.status,
        error=error,
        usage=usage,
        usage_source=source,
        cost=pricer.cost(attempt, usage) if usage is not None else None,
        span=attempt.span,
    )


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
    if x.counted is not None:
        return x.counted, "counted"
    return estimate(_bytes_in(x), x.tail.text_bytes()), "estimated"


def _usage_of_failed(x: Exchange, attempt: Attempt) -> tuple[Usage | None, UsageSource | None]:
    """A vendor that took the request and never answered may charge for having read it."""
    took_it = attempt.error not in {None, Unreachable.kind} and attempt.status == 0
    gone = attempt.error is None and attempt.status == 0
    if x.operation.has_usage and (took_it or gone):
        return estimate(_bytes_in(x), 0), "estimated"
    return None, None


def _sum(attempts: tuple[AttemptRecord, ...]) -> Usage | None:
    used = [a.usage for a in attempts if a.usage is not None]
    if len(used) < 2:
        return used[0] if used else None
    fields = Usage.__struct_fields__
    return Usage(**{name: sum(getattr(each, name) for each in used) for name in fields})


def _worst(sources: list[UsageSource | None]) -> UsageSource | None:
    order: tuple[UsageSource, ...] = ("estimated", "counted", "upstream")
    return next((source for source in order if source in sources), None)


def _error(error: BaseException, outcome: Outcome) -> str:
    if outcome == "client_gone":
        return outcome
    return error.kind if isinstance(error, ProxyError) else type(error).__name__


def _overhead(x: Exchange) -> int | None:
    if not x.first_byte or not x.attempts:
        return None
    return max(0, int((x.attempts[0].started - x.arrived) * _MICRO))


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
