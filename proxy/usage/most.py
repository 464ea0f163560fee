"""The dearest that a request can turn out: what budgets hold before it is sent.

Which class of token, which step of a price that grows with the context, and, where the request does
not choose, which service tier will be charged is known only afterwards: the dearest counts.
"""

from collections.abc import Iterator
from typing import Final

from proxy.base.clock import monotonic
from proxy.core.gate import Rates
from proxy.usage.pricer import Pricer
from proxy.usage.prices.outputs import most_output
from proxy.usage.prices.price import Price
from proxy.usage.tokens.images import most_picture

_FRESH: Final = 1.0  # Seconds; prices have dates from which they are in force.
_MOST_KEPT: Final = 4096
_CHOSEN: Final = frozenset(("default", "flex", "batch"))

_INPUT: Final = (
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "image_input",
)
_OUTPUT: Final = ("output", "reasoning", "audio_output", "image_output")
_FEES: Final = frozenset(("request", "image", "audio_hour"))


class Most:
    """The PriceList of a configuration."""

    __slots__ = ("_kept", "_pricer")

    def __init__(self, pricer: Pricer) -> None:
        self._pricer = pricer
        self._kept: dict[tuple[str, str, int, str], tuple[float, Rates | None]] = {}

    def most(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        """The dearest rates that so many input tokens can meet, or None where no price is known."""
        now = monotonic()
        key = (provider, model, tokens_in.bit_length(), tier)
        kept = self._kept.get(key)
        if kept is not None and now < kept[0]:
            return kept[1]
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        # Of all lengths that have as many bits the longest.
        rates = self._rates(provider, model, (1 << tokens_in.bit_length()) - 1, tier)
        self._kept[key] = (now + _FRESH, rates)
        return rates

    def _rates(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        prices = list(self._possible(provider, model, tokens_in, tier))
        if not prices:
            return None
        return Rates(
            input=max(getattr(price, name) for price in prices for name in _INPUT),
            output=max(getattr(price, name) for price in prices for name in _OUTPUT),
            request=max(price.request for price in prices),
            search=max(price.search for price in prices),
            image=max(price.image for price in prices),
            hour=max(price.audio_hour for price in prices),
            picture=most_picture(model),
            window=prices[0].context_window,
            most_output=most_output(model),
        )

    def _possible(self, provider: str, model: str, tokens_in: int, tier: str) -> Iterator[Price]:
        usual = self._pricer.price(provider, model)
        if usual is None or _says_nothing(usual):
            return
        tiers = {tier} & usual.tiers if tier in _CHOSEN else usual.tiers
        for name in ("", *tiers):
            price = self._pricer.price(provider, model, tier=name)
            if price is not None:
                yield price
                yield from (step for start, step in price.above if tokens_in > start)


def _says_nothing(price: Price) -> bool:
    """Whether neither tokens nor calls have a rate: then nothing can be held."""
    return price.missing.issuperset(("input", "output")) and _FEES.issubset(price.missing)
