"""The line of an exchange that ends: the worker's most frequent writing, so made with least.

Nearly all exchanges end the same way: completed, at the first attempt. What such a record shares
with thousands of others (caller, model, target, configuration) is encoded once and kept, bounded;
each adds what is its own in one encoding. Every other ending takes the plain way of recording.py;
`tests/unit/usage/test_usage_lines.py` compares the two field by field.
"""

from typing import TYPE_CHECKING

from proxy.base.clock import monotonic, wall
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.usage.cost import cost
from proxy.usage.pricer import Pricer
from proxy.usage.recording import (
    MICRO,
    Identity,
    Moment,
    Used,
    attempt_record,
    bytes_in,
    cost_of,
    record_of_exchange,
    usage_of_last,
)
from proxy.usage.usual_usage import usual_usage
from proxy.wire.body import Body
from proxy.wire.record import Cost, Head, Passing, Standing, Usage, line_of
from proxy.wire.tail import Tail

if TYPE_CHECKING:
    from proxy.usage.prices.price import Price

_KEPT = 1024

_Key = tuple[str | bool | None, ...]


class _Known:
    """What lines with the same beginning share."""

    __slots__ = ("head", "price", "second")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.price: Price | None = None
        self.second = -1  # Of the wall clock: the one in which the price was asked for.


class Lines:
    """Makes lines. One per ledger; keeps the beginnings of lines that it made before."""

    __slots__ = ("_identity", "_known", "_pricer")

    def __init__(self, identity: Identity, pricer: Pricer) -> None:
        self._identity = identity
        self._pricer = pricer
        self._known: dict[_Key, _Known] = {}

    def of(self, x: Exchange, ended: Moment | None = None) -> bytes:
        """The line of an exchange that ends now, or ended then."""
        reply = x.reply
        if not x.finished or x.error is not None or reply is None or len(x.attempts) != 1:
            return line_of(record_of_exchange(x, self._identity, self._pricer, ended))
        now, today = ended if ended is not None else (monotonic(), wall())
        attempt = x.attempts[0]
        known = self._find(x, attempt)
        used = _used(x, attempt)
        spent = self._cost(x, attempt, used[0], known, int(today))
        return known.head.line(_passing(x, reply, now, today, used, spent))

    def _cost(
        self, x: Exchange, attempt: Attempt, usage: Usage | None, known: _Known, second: int
    ) -> Cost | None:
        if usage is None:
            return None
        if known.second != second:  # Prices change on a full second, if they do.
            known.price = self._pricer.price(attempt.provider, attempt.model, second)
            known.second = second
        price = known.price
        if price is None or price.tiers or not price.covers(usage):
            return cost_of(x, attempt, usage, self._pricer)
        return cost(usage, price)

    def _find(self, x: Exchange, attempt: Attempt) -> _Known:
        caller, route = x.caller, x.route
        key = (
            x.runtime.version,
            x.operation.name,
            x.stream,
            x.model,
            route.model if route is not None else None,
            attempt.provider,
            attempt.model,
            caller.name,
            caller.team,
            caller.user,
            caller.project,
        )
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[key] = _Known(Head(self._standing(x, attempt)))
        return known

    def _standing(self, x: Exchange, attempt: Attempt) -> Standing:
        caller = x.caller
        return Standing(
            worker=self._identity.worker,
            config=x.runtime.version,
            operation=x.operation.name,
            key=caller.name,
            team=caller.team,
            user=caller.user,
            project=caller.project,
            model=x.model,
            route=x.route.model if x.route is not None else None,
            served_provider=attempt.provider,
            served_model=attempt.model or None,
            stream=x.stream,
            prices=self._pricer.version,
        )


def _used(x: Exchange, attempt: Attempt) -> Used:
    tail = x.tail
    if x.operation.has_usage and attempt.first_byte and type(tail) is Tail:
        usage = usual_usage(tail.last())
        if usage is not None:
            return usage, "upstream"
    return usage_of_last(x, attempt)


def _passing(  # noqa: PLR0917 - A bundle of these would be made per request.
    x: Exchange, reply: Reply, now: float, today: float, used: Used, spent: Cost | None
) -> Passing:
    received, first_byte, body, trace = x.received, x.first_byte, x.body, x.trace
    attempt = x.attempts[0]
    used_any = used[0] is not None
    done = int((now - received) * MICRO)
    customer, agent, session, tags = x.labels
    return Passing(
        x.id,
        int(today * MICRO) - done,
        "completed",
        reply.status,
        done,
        len(body.raw) if type(body) is Body else bytes_in(x),
        x.tail.total or len(reply.body),
        int((x.arrived - received) * MICRO),
        int((x.admitted - received) * MICRO) if x.admitted else None,
        int((first_byte - received) * MICRO) if first_byte else None,
        max(0, int((attempt.started - x.arrived) * MICRO)) if first_byte else None,
        *used,
        spent.total if spent is not None else None if used_any else 0,
        used_any and spent is None,
        (attempt_record(x, attempt, attempt.ended or now, attempt.error, used, spent),),
        trace.trace,
        trace.span,
        trace.parent,
        trace.flags == "01" or trace.sampled,
        tags,
        customer,
        agent,
        session,
        x.content,
    )
