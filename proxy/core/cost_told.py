"""What an answer cost, told in its head where that is known before it leaves.

It is for answers that are whole by then: the record was made (`x.complete`), so every attempt knows
its cost. A stream's head is gone long before. What cannot be priced is not told, not even in part.
"""

from typing import TYPE_CHECKING, Final

from proxy.core.exchange import Exchange

if TYPE_CHECKING:
    from proxy.wire.headers import Pairs

_NANO: Final = 10**9


def tell_cost(x: Exchange, headers: "Pairs") -> None:
    """Add `x-llm-proxy-cost`: USD of all attempts, exact."""
    nano = -1
    for attempt in x.attempts:
        if attempt.cost is not None:
            nano = attempt.cost + (nano if nano > 0 else 0)
        elif attempt.usage is not None:
            return  # It cost something that nobody knows.
    if nano >= 0:
        rest = nano % _NANO
        dollars = b"%d" % (nano // _NANO)
        if rest:
            dollars = (b"%b.%09d" % (dollars, rest)).rstrip(b"0")
        headers.append((b"x-llm-proxy-cost", dollars))
