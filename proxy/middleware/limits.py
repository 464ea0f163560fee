"""Whether the caller may send this now: requests and tokens per time, slots."""

from proxy.core.exchange import Exchange
from proxy.core.reply import Reply


async def limits(x: Exchange) -> Reply | None:
    """Take the request's part of every limit. Raises LimitReached, StoreUnavailable, BadRequest."""
    gate = x.runtime.gate
    if gate is not None and not gate.admit_now(x):
        await gate.admit(x)
    return None
