"""What a request says of itself, as members of `More` (wire/record.py) in JSON.

The line of its hold and the line of its record both have them, so they are made once. Where it says
nothing but its place in a trace, which is usual where traces are exported, they are written as they
stand: ids of traces are hex digits, in which nothing has to be escaped.
"""

import msgspec

from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.labels import NO_LABELS, Labels
from proxy.core.tracing import NOT_TRACED
from proxy.wire.record import More

_SAMPLED = "01"  # The flags that are usual.

_encode = msgspec.json.Encoder().encode


def said(x: Exchange, attempt: Attempt, labels: Labels) -> bytes:
    """The members, without braces; nothing where it says nothing. `labels`: those of it that are
    to be told."""
    caller, trace = x.caller, x.trace
    if labels is not NO_LABELS or caller.tags or caller.agent:
        return _all(x, attempt, labels)
    if trace is NOT_TRACED:
        return b""
    if trace.span is None or attempt.span is None or trace.flags != _SAMPLED:
        return _all(x, attempt, labels)
    text = f'"attempt":"{attempt.span}","trace":"{trace.trace}","span":"{trace.span}"'
    if trace.parent is not None:
        text += f',"parent":"{trace.parent}"'
    return text.encode()


def _all(x: Exchange, attempt: Attempt, labels: Labels) -> bytes:
    trace, caller = x.trace, x.caller
    more = More(
        attempt=attempt.span,
        trace=trace.trace,
        span=trace.span,
        parent=trace.parent,
        sampled=trace.sampled,
        tags=labels.tags or caller.tags,
        customer=labels.customer,
        agent=labels.agent or caller.agent,
        session=labels.session,
    )
    return _encode(more)[1:-1]
