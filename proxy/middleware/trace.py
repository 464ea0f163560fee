"""W3C trace context (https://www.w3.org/TR/trace-context/): accepted and passed on.

An invalid `traceparent` is dropped with its `tracestate`, as the standard asks.
"""

import re

from proxy.core.exchange import Exchange
from proxy.core.reply import Reply

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x20-\x7e]*)?"
)


async def trace(x: Exchange) -> Reply | None:
    """Remember the caller's trace context for the vendor."""
    parent = x.incoming.headers.get("traceparent")
    if parent is None or _TRACEPARENT.fullmatch(parent) is None:
        return None
    context = [(b"traceparent", parent.encode("ascii"))]
    state = x.incoming.headers.get("tracestate")
    if state is not None and state.isascii():
        context.append((b"tracestate", state.encode("ascii")))
    x.trace = tuple(context)
    return None
