"""A closer look at a request that is refused by the length of its text: its tokens, counted."""

from proxy.core.exchange import Exchange
from proxy.core.gate import Need
from proxy.limits import bounds


async def closer_need(x: Exchange, need: Need, models: tuple[str, ...]) -> Need | None:
    """What the request needs with any of these models, or None where nobody can count it."""
    if need.endless:
        return None
    found = await x.runtime.tokens.count_input(x, models)
    return bounds.exactly(need, found) if found is not None else None
