"""The line of an exchange that ends: the worker's most frequent writing, so made with least.

Nearly all exchanges end the same way: completed with status 200, at the first attempt. Their line
is a `Brief` (wire/record.py). What it shares with thousands of others (caller, model, target,
configuration) is encoded once and kept, bounded: its `Head`. Text at a flat price, which is usual,
adds one array of numbers; whatever else was used or is said adds `More`.

Every other ending takes the plain way of recording.py, and so does a usual one of which anything is
not as it always is. `tests/unit/usage/test_usage_lines.py` compares the two field by field.
"""

from typing import TYPE_CHECKING, Final

from proxy.base.clock import monotonic, wall
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.labels import label
from proxy.usage.cost import FlatPrice, cost, flat_price
from proxy.usage.pricer import Pricer
from proxy.usage.recording import (
    MICRO,
    Identity,
    Moment,
    Used,
    cost_of,
    record_of_exchange,
    usage_of_last,
    via,
)
from proxy.usage.said import said
from proxy.usage.usual_usage import usual_usage
from proxy.wire.body import Body
from proxy.wire.brief import More, OfText, Standing
from proxy.wire.brief_line import Head
from proxy.wire.record import Cost, Usage, line_of
from proxy.wire.tail import Tail

if TYPE_CHECKING:
    from proxy.usage.prices.price import Price

_KEPT: Final = 1024
_NOTHING: Final[OfText] = 0, 0, 0, 0

Kind = tuple[str | bool | None, ...]
"""What decides on the `Standing` of a request's line."""


class _Known:
    """What lines with the same beginning share."""

    __slots__ = ("flat", "head", "price", "second")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.price: Price | None = None
        self.flat: FlatPrice | None = None
        self.second = -1  # Of the wall clock: the one in which the price was asked for.


class Lines:
    """Makes lines. One per ledger; keeps the beginnings of lines that it made before."""

    __slots__ = ("_identity", "_known", "_pricer")

    def __init__(self, identity: Identity, pricer: Pricer) -> None:
        self._identity = identity
        self._pricer = pricer
        self._known: dict[object, _Known] = {}  # By `Attempt.kind`, else by `kind_of`.

    def of(self, x: Exchange, ended: Moment | None = None) -> bytes:
        """The line of an exchange that ends now, or ended then. Its attempts are told what they
        used and cost."""
        now, today = ended if ended is not None else (monotonic(), wall())
        reply, body, attempts, first_byte = x.reply, x.body, x.attempts, x.first_byte
        if (
            not x.finished
            or x.error is not None
            or reply is None
            or reply.status != 200
            or type(body) is not Body
            or len(attempts) != 1
            or (attempt := attempts[0]).status != 200
            or attempt.error is not None
            or attempt.ended
            or not attempt.head
            or not first_byte
            or attempt.first_byte != first_byte
            or not x.admitted
        ):
            return line_of(record_of_exchange(x, self._identity, self._pricer, Moment(now, today)))
        second = int(today)
        known = self._known.get(attempt.kind)
        if known is None or known.second != second:
            known = self._find(x, attempt, second)
        flat, tail = known.flat, x.tail
        usage = None
        if x.operation.has_usage and type(tail) is Tail:
            seen = tail.seen
            usage = seen[1] if seen and seen[0] == tail.total else usual_usage(tail.last())
        if (
            flat is None
            or usage is None
            or usage.cached_read
            or usage.reasoning
            or x.content is not None
        ):
            of_text, told, more = _NOTHING, b"", self._more(x, attempt, usage, known.price)
        else:
            of_text, more = flat.of(usage.input, usage.output), None
            attempt.usage, attempt.cost = usage, of_text[2]
            told = attempt.said if attempt.said is not None else said(x, attempt, x.labels)
        received, arrived, started = x.received, x.arrived, attempt.started
        done = int((now - received) * MICRO)
        overhead = int((started - arrived) * MICRO)
        times = (
            x.id,
            x.at or int(today * MICRO) - done,
            done,
            len(body.raw),
            tail.total or len(reply.body),
            int((arrived - received) * MICRO),
            int((x.admitted - received) * MICRO),
            int((first_byte - received) * MICRO),
            overhead if overhead > 0 else 0,
            int((started - received) * MICRO),
            int((attempt.head - received) * MICRO),
        )
        return known.head.line(times, of_text, told, more)

    def _more(
        self, x: Exchange, attempt: Attempt, usual: Usage | None, price: "Price | None"
    ) -> More:
        used: Used = (usual, "upstream") if usual is not None else usage_of_last(x, attempt)
        usage, source = used
        spent = self._cost(x, attempt, usage, price)
        attempt.usage = usage
        attempt.cost = spent.total if spent is not None else None
        trace, labels, caller = x.trace, x.labels, x.caller
        return More(
            usage=usage,
            usage_source=source,
            cost=spent,
            attempt=attempt.span,
            trace=trace.trace,
            span=trace.span,
            parent=trace.parent,
            sampled=trace.sampled,
            tags=labels.tags or caller.tags,
            customer=labels.customer,
            agent=labels.agent or caller.agent,
            session=labels.session,
            content=x.content,
        )

    def _cost(
        self, x: Exchange, attempt: Attempt, usage: Usage | None, price: "Price | None"
    ) -> Cost | None:
        if usage is None:
            return None
        if price is None or price.tiers or not price.covers(usage):
            return cost_of(x, attempt, usage, self._pricer)
        return cost(usage, price)

    def _find(self, x: Exchange, attempt: Attempt, second: int) -> _Known:
        key: object = attempt.kind or kind_of(x, attempt)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[key] = _Known(
                Head(standing_of(x, attempt, self._identity, self._pricer.version))
            )
        if known.second != second:  # Prices change on a full second, if they do.
            known.price = self._pricer.price(attempt.provider, attempt.model, second)
            known.flat = flat_price(known.price)
            known.second = second
        return known


def kind_of(x: Exchange, attempt: Attempt) -> Kind:
    """Of two requests of the same kind, served by the same configuration, it is the same."""
    caller, route = x.caller, x.route
    return (
        x.runtime.version,
        x.operation.name,
        x.stream,
        x.model,
        route.model if route is not None else None,
        x.rule.name if x.rule is not None else None,
        attempt.provider,
        attempt.model,
        attempt.target.route,
        caller.name,
        caller.team,
        caller.user,
        caller.project,
    )


def standing_of(x: Exchange, attempt: Attempt, identity: Identity, prices: str) -> Standing:
    """What a request shares with others of its kind. `prices`: their version."""
    caller, route = x.caller, x.route
    return Standing(
        worker=identity.worker,
        config=x.runtime.version,
        operation=x.operation.name,
        provider=attempt.provider,
        target=attempt.model,
        key=caller.name,
        team=caller.team,
        user=caller.user,
        project=caller.project,
        model=x.model if route is not None else label(x.model),
        route=route.model if route is not None else None,
        rule=x.rule.name if x.rule is not None else None,
        via=via(x, attempt),
        stream=x.stream,
        prices=prices,
    )
