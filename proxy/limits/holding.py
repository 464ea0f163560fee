"""What follows from a hold of money: what it pays for, and what is sent so that it is enough."""

from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.gate import Need, Rates
from proxy.core.quota import Denial, Grant
from proxy.core.reply import Reply
from proxy.core.target import Target
from proxy.limits import bounds
from proxy.limits.closer import closer_need
from proxy.limits.meter import Meter

Priced = tuple[Need, Rates, bounds.Able]
"""What the money of an attempt is reckoned from."""


async def closer_for_money(
    x: Exchange, no: Denial, target: Target, priced: Priced | None
) -> Need | None:
    """What a request that a budget refuses may need, its tokens counted; None: that cannot help."""
    level = no.level
    if level.rule.measure != "money" or priced is None:
        return None
    need, rates, most = priced
    _, least = bounds.money(bounds.at_best(need), rates, most)
    if least > level.remaining:
        return None
    return await closer_need(x, need, (target.model,))


def bound_output(x: Exchange, attempt: Attempt, grant: Grant, priced: Priced) -> None:
    """See to it that an answer without a cap cannot cost more than is held: a cap, or a meter on a
    stream."""
    need, rates, most = priced
    whole, _ = bounds.money(*priced)
    if grant.money < whole or x.cap is not None or not (most.certain or x.stream):
        x.cap = bounds.cap(need, rates, grant.money, most)
    elif not most.certain:
        x.on_reply(lambda reply: _meter(x, attempt, reply, Meter(need, rates, grant, attempt.kept)))


def _meter(x: Exchange, attempt: Attempt, reply: Reply, meter: Meter) -> None:
    if attempt is x.attempts[-1] and reply.answer is not None and reply.head.is_events:
        meter.watch(x, reply.answer)


def bound(priced: Priced, grant: Grant) -> tuple[int, int]:
    """Tokens of input and of output, what the money is held for."""
    need, rates, _ = priced
    if need.output is not None:
        return need.input, need.output
    return need.input, bounds.affordable(need, rates, grant.money)


def charge(attempt: Attempt, hold: Grant) -> int:
    """What an attempt without a known cost is charged: all that was held, if it used anything."""
    return hold.money if attempt.usage is not None else 0
