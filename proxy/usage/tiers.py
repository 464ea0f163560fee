"""In which service tier an attempt was served: the answer knows, else the request asked.

OpenAI may serve a request that asked for `priority` at the usual speed and price and says so in the
answer; that counts. Only where the answer names none (it was cut, or the name is out of reach of
the tail) is it what the caller asked for, and only where that is dearer than usual: nobody gets a
lower price by asking a vendor that does not sell it.
"""

from proxy.base.errors import BadRequest
from proxy.core.exchange import Exchange
from proxy.wire.body import Body
from proxy.wire.tier import tier_in

_DEARER = frozenset(("priority", "fast"))


def service_tier(x: Exchange, *, answered: bool) -> str:
    """The tier, or nothing: none is named. `answered`: the exchange's tail is of this attempt."""
    return (tier_in(x.tail.last()) if answered else "") or _asked(x)


def _asked(x: Exchange) -> str:
    if not isinstance(x.body, Body):
        return ""
    try:
        asked = x.body.text("service_tier")
    except BadRequest:  # Not text: the vendor has refused it or taken it for none.
        return ""
    return asked if asked in _DEARER else ""
