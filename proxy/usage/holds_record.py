"""From the holds that a dead worker left open to the records of their requests.

One record for each request, whatever number of its attempts was open: outcome `failed`, error
`worker_died`, cost what was held. Nothing in it depends on when or how often it is made. It has the
time and the id that the request's own record would have had, so the store never keeps both.
"""

from collections.abc import Iterable, Sequence

from proxy.core.accounting import WORKER_DIED
from proxy.usage.holds_line import Held, HoldLine
from proxy.wire.brief import More
from proxy.wire.record import AttemptRecord, Cost, Usage, UsageRecord

_NOTHING_MORE = More()


def records_of(holds: Iterable[HoldLine]) -> list[UsageRecord]:
    """The records, in the order of time."""
    requests: dict[str, dict[int, HoldLine]] = {}
    for hold in holds:
        attempts = requests.setdefault(hold.held.id, {})
        known = attempts.get(hold.held.number)
        if known is None or known.held.money < hold.held.money:  # It grew.
            attempts[hold.held.number] = hold
    found = [_record([attempts[n] for n in sorted(attempts)]) for attempts in requests.values()]
    return sorted(found, key=lambda record: (record.at, record.id))


def _record(holds: Sequence[HoldLine]) -> UsageRecord:
    last = holds[-1]
    standing, held, more = last.standing, last.held, last.more or _NOTHING_MORE
    told: More | Held = last.more or held
    attempts = tuple(map(_attempt, holds))
    used = [each.usage for each in attempts if each.usage is not None]
    return UsageRecord(
        id=held.id,
        at=held.at,
        worker=standing.worker,
        config=standing.config,
        operation=standing.operation,
        outcome="failed",
        status=500,  # As for all that fails in the proxy itself; the caller was told nothing.
        done=held.started,  # When it died nobody knows.
        key=standing.key,
        team=standing.team,
        user=standing.user,
        project=standing.project,
        customer=more.customer,
        agent=more.agent,
        session=more.session,
        tags=more.tags,
        model=standing.model,
        route=standing.route,
        rule=standing.rule,
        served_provider=standing.provider,
        served_model=standing.target or None,
        error=WORKER_DIED,
        stream=standing.stream,
        usage=Usage(sum(each.input for each in used), sum(each.output for each in used)),
        usage_source="estimated",
        cost=sum(hold.held.money for hold in holds),
        prices=standing.prices,
        attempts=attempts,
        trace=told.trace,
        span=told.span,
        parent=told.parent,
        sampled=more.sampled,
    )


def _attempt(hold: HoldLine) -> AttemptRecord:
    standing, held = hold.standing, hold.held
    return AttemptRecord(
        standing.provider,
        standing.target,
        held.started,
        held.started,
        error=WORKER_DIED,
        usage=Usage(held.input, held.output),
        usage_source="estimated",
        cost=Cost(held.money, request=held.money),  # One sum, whatever it would have been for.
        span=(hold.more or held).attempt,
        route=standing.via,
    )
