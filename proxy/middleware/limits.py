"""Whether the caller may send this now: requests and tokens per time, slots."""

from typing import Final

from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.steps import Later


def limits(x: Exchange) -> Later | None:
    """Take the request's part of every limit. Raises LimitReached, StoreUnavailable, BadRequest."""
    gate = x.runtime.gate
    return None if gate is None or gate.admit_now(x) else _LATER


async def _admit(x: Exchange) -> Reply | None:
    """The same, where a store has to be asked, or a place waited for."""
    gate = x.runtime.gate
    if gate is not None:
        await gate.admit(x)
    return None


_LATER: Final = Later(_admit)
