"""What a request says of itself, in JSON: members of `More`, or the ids alone (wire/brief.py).

The line of its hold and the line of its record both have it, so it is made once. Nothing but its
place in a trace is usual where traces are exported; that is written as it stands.
"""

from typing import Final

import msgspec

from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.labels import NO_LABELS, Labels
from proxy.core.tracing import NOT_TRACED
from proxy.wire.brief import More
from proxy.wire.brief_line import ids

_SAMPLED: Final = "01"  # The flags that are usual.

_encode: Final = msgspec.json.Encoder().encode


def said(x: Exchange, attempt: Attempt, labels: Labels) -> bytes:
    """The members, without braces, or the ids, or nothing where it says nothing. `labels`: those of
    it that are to be told."""
    caller, trace = x.caller, x.trace
    if labels is not NO_LABELS or caller.tags or caller.agent:
        return _all(x, attempt, labels)
    if trace is NOT_TRACED:
        return b""
    own, name, span = attempt.span, trace.trace, trace.span
    if own is None or name is None or span is None or trace.flags != _SAMPLED:
        return _all(x, attempt, labels)
    return ids(own, name, span, trace.parent)


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
