"""W3C trace context: accepted, taken part in where spans are exported, and passed on.

An invalid `traceparent` is dropped with its `tracestate`, as the standard asks.
"""

import re
from typing import Final

from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.tracing import Fields, Trace, begun, new_span

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
    r"(?:-[\x20-\x7e]*)?"
)


def trace(x: Exchange) -> Reply | None:
    """Fill in `x.trace`."""
    headers = x.incoming.headers
    goes_on = "traceparent" in headers and _goes_on(x, headers["traceparent"])
    if not goes_on and x.runtime.spans:
        x.trace = begun()
    return None


def _goes_on(x: Exchange, parent: str) -> bool:
    """The caller's trace goes on here. False: that is none."""
    found = _TRACEPARENT.fullmatch(parent)
    if found is None:
        return False
    trace_id, caller, flags = found.groups()
    spans = x.runtime.spans
    span, first = (new_span(), new_span()) if spans else (None, None)
    x.trace = Trace(trace_id, caller, span, flags, _given(x, parent), first)
    return True


def _given(x: Exchange, parent: str) -> Fields:
    fields = [(b"traceparent", parent.encode("ascii"))]
    state = x.incoming.headers.get("tracestate")
    if state is not None and state.isascii():
        fields.append((b"tracestate", state.encode("ascii")))
    return tuple(fields)
