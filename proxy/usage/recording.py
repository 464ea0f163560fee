"""What an exchange becomes in the record: times, outcome, tokens, cost of every attempt.

This is the plain way, for every ending. `lines.py` has a quicker one for the usual ending, which is
tested against this one.
"""

from asyncio import CancelledError
from dataclasses import dataclass
from typing import Final, NamedTuple

from proxy.base.clock import monotonic, wall
from proxy.base.errors import CallerError, Malformed, ProxyError, Unreachable, UpstreamError
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.labels import label
from proxy.core.upload import FormUpload, StreamUpload
from proxy.usage.pricer import Pricer
from proxy.usage.tiers import service_tier
from proxy.wire.body import Body
from proxy.wire.measure import assumed, is_billed, reported
from proxy.wire.record import AttemptRecord, Cost, Outcome, Usage, UsageRecord, UsageSource

MICRO: Final = 1_000_000
_CLIENT_GONE = 499  # As nginx logs it; no caller ever sees it.

Used = tuple[Usage | None, UsageSource | None]
"""What was used, and who says so."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who writes the records, by which configuration."""

    worker: str


class Moment(NamedTuple):
    """One moment, by both clocks."""

    monotonic: float
    wall: float


def record_of_exchange(
    x: Exchange, identity: Identity, pricer: Pricer, ended: Moment | None = None
) -> UsageRecord:
    """The record of an exchange that ends now, or ended then."""
    now, today = ended if ended is not None else (monotonic(), wall())
    received = x.received
    done = int((now - received) * MICRO)
    outcome, status = _outcome(x)
    attempts = _attempts(x, now, outcome, pricer)
    spent = _spent(attempts)
    reply, error, caller, trace = x.reply, x.error, x.caller, x.trace
    served = x.attempts[-1] if reply is not None and x.attempts else None
    labels = x.labels
    return UsageRecord(
        id=x.id,
        at=x.at or int(today * MICRO) - done,
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
        customer=labels.customer,
        agent=labels.agent or caller.agent,  # Refused before its labels were read, perhaps.
        session=labels.session,
        tags=labels.tags or caller.tags,
        model=x.model if x.route is not None else label(x.model),
        route=x.route.model if x.route is not None else None,
        rule=x.rule.name if x.rule is not None else None,
        served_provider=served.provider if served is not None else None,
        served_model=(served.model or None) if served is not None else None,
        error=None if error is None else _error(error, outcome),
        code=error.code if isinstance(error, ProxyError) else None,
        stream=x.stream,
        bytes_in=bytes_in(x),
        bytes_out=x.tail.total or (len(reply.body) if reply is not None else 0),
        arrived=int((x.arrived - received) * MICRO),
        admitted=int((x.admitted - received) * MICRO) if x.admitted else None,
        first_token=int((x.first_byte - received) * MICRO) if x.first_byte else None,
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
    error = last.error or (None if outcome == "completed" else outcome)
    tries = [(each, each.error, _usage_of_failed(x, each)) for each in failed]
    tries.append((last, error, usage_of_last(x, last)))
    return tuple(
        attempt_record(x, each, each.ended or now, error, used, cost_of(x, each, used[0], pricer))
        for each, error, used in tries
    )


def attempt_record(  # noqa: PLR0917 - A bundle of these would be made per request.
    x: Exchange,
    attempt: Attempt,
    ended: float,
    error: str | None,
    used: Used,
    cost: Cost | None,
) -> AttemptRecord:
    """What is recorded of one attempt, and known of it from now on."""
    received = x.received
    attempt.usage = used[0]
    attempt.cost = cost.total if cost is not None else None
    return AttemptRecord(
        attempt.provider,
        attempt.model,
        int((attempt.started - received) * MICRO),
        int((ended - received) * MICRO),
        int((attempt.head - received) * MICRO) if attempt.head else None,
        int((attempt.first_byte - received) * MICRO) if attempt.first_byte else None,
        attempt.status,
        error,
        used[0],
        used[1],
        cost,
        attempt.span,
        attempt.reason if attempt.reason != error else None,
        attempt.rescue,
        via(x, attempt),
        attempt.hedge,
    )


def via(x: Exchange, attempt: Attempt) -> str | None:
    """The configured model that an attempt's target belongs to, where it is not the one that took
    the request."""
    route, own = x.route, attempt.target.route
    return own if own and route is not None and own != route.model else None


def cost_of(x: Exchange, attempt: Attempt, usage: Usage | None, pricer: Pricer) -> Cost | None:
    """What an attempt cost, or None: it used nothing, or nobody knows its price."""

    def tier() -> str:
        return service_tier(x, answered=bool(attempt.first_byte))

    return None if usage is None else pricer.cost(attempt, usage, tier)


def usage_of_last(x: Exchange, attempt: Attempt) -> Used:
    """Tokens of the attempt whose answer was relayed, or was to be."""
    if not is_billed(x.operation):
        return None, None
    if attempt.heard is not None:
        return _usage_of_failed(x, attempt)
    if attempt.first_byte and (found := reported(x.tail)) is not None:
        return found, "upstream"
    if not attempt.first_byte:
        return _usage_of_failed(x, attempt)
    if not 200 <= attempt.status < 300:
        return None, None
    if x.counted is not None:
        return x.counted, "counted"
    return assumed(x.operation.medium, bytes_in(x), x.tail)


def _usage_of_failed(x: Exchange, attempt: Attempt) -> Used:
    """A vendor that took the request and never answered may charge for having read it."""
    if attempt.heard is not None and is_billed(x.operation):
        if (found := reported(attempt.heard)) is not None:
            return found, "upstream"
        return assumed(x.operation.medium, bytes_in(x), attempt.heard)
    if is_billed(x.operation) and _took_it(attempt):
        return assumed(x.operation.medium, bytes_in(x))
    return None, None


def _took_it(attempt: Attempt) -> bool:
    """Whether the vendor may have begun to work: nothing speaks against it."""
    if attempt.status and not 200 <= attempt.status < 300:
        return False
    if attempt.error == Malformed.kind:
        return not attempt.status  # A web page with a good status is from somebody else.
    return attempt.error != Unreachable.kind


def _sum(attempts: tuple[AttemptRecord, ...]) -> Usage | None:
    used = [a.usage for a in attempts if a.usage is not None]
    if len(used) < 2:
        return used[0] if used else None
    # What one of them says in more detail is not lost in the sum.
    kind = next((type(each) for each in used if type(each) is not Usage), Usage)
    fields = kind.__struct_fields__
    return kind(**{name: sum(getattr(each, name, 0) for each in used) for name in fields})


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
    began = min(each.started for each in x.attempts)  # A hedge that answers second stands last.
    return max(0, int((began - x.arrived) * MICRO))


def bytes_in(x: Exchange) -> int:
    """Length of the request's body, as far as it is known."""
    body = x.body
    if isinstance(body, Body):
        return len(body.raw)
    if isinstance(body, FormUpload | StreamUpload):
        return body.length or 0
    return 0
