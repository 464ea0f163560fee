"""W3C trace context: accepted, taken part in where spans are exported, and passed on.

An invalid `traceparent` is dropped with its `tracestate`, as the standard asks.
"""

import re

from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.tracing import Fields, Trace, new_span, new_trace

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
    r"(?:-[\x20-\x7e]*)?"
)


async def trace(x: Exchange) -> Reply | None:
    """Fill in `x.trace`."""
    parent = x.incoming.headers.get("traceparent")
    found = _TRACEPARENT.fullmatch(parent) if parent is not None else None
    spans = x.runtime.spans
    if parent is None or found is None:
        if spans:
            x.trace = Trace(new_trace(), span=new_span())
        return None
    span = new_span() if spans else None
    trace_id, caller, flags = found.groups()
    x.trace = Trace(trace_id, caller, span, flags, _given(x, parent))
    return None


def _given(x: Exchange, parent: str) -> Fields:
    fields = [(b"traceparent", parent.encode("ascii"))]
    state = x.incoming.headers.get("tracestate")
    if state is not None and state.isascii():
        fields.append((b"tracestate", state.encode("ascii")))
    return tuple(fields)
