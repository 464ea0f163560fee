"""What an attempt costs: exact integers, one rounding, classes that add up.

Every class is a whole number of 10⁻¹⁵ USD. Only the total is rounded: once, up to the next
nano-USD, so that what is recorded is never less than what is owed. Each class of the split is the
rounded running sum with it minus that without it: the classes add up to the total, and each is
within one nano-USD of its own exact value.
No token is paid twice: cached, written and audio tokens are taken out of input, reasoning and
audio out of output.
"""

from typing import Final

from proxy.usage.prices.price import Price
from proxy.wire.brief import OfText
from proxy.wire.record import Cost, Usage
from proxy.wire.usage import DetailedUsage

_MTOK: Final = 1_000_000
_HOUR_MS: Final = 3_600_000


def cost(usage: Usage, price: Price) -> Cost:
    """The cost of `usage` at `price`, in nano-USD."""
    if price.above:
        price = price.at_context(usage.input)
    cached = usage.cached_read
    reasoning = usage.reasoning
    text_in = usage.input - cached - usage.cache_write
    text_out = usage.output - reasoning
    if (
        type(usage) is not Usage
        or usage.audio_in
        or usage.audio_out
        or usage.images
        or usage.cache_write
        or price.request
        or text_in < 0
        or text_out < 0
    ):
        return _detailed(usage, price)
    exact = text_in * price.input
    total = first = -(-exact // _MTOK)
    cost_cached = cost_reasoning = 0
    if cached:
        exact += cached * price.cached_input
        total = -(-exact // _MTOK)
        cost_cached = total - first
    exact += text_out * price.output
    before = total
    total = -(-exact // _MTOK)
    cost_output = total - before
    if reasoning:
        exact += reasoning * price.reasoning
        before = total
        total = -(-exact // _MTOK)
        cost_reasoning = total - before
    return Cost(total, first, cost_cached, 0, cost_output, cost_reasoning)


class FlatPrice:
    """A price as it is where nothing is used but text: a rate for input and one for output."""

    __slots__ = ("_input", "_output")

    def __init__(self, price: Price) -> None:
        self._input = price.input
        self._output = price.output

    def of(self, tokens_in: int, tokens_out: int) -> OfText:
        """So many tokens, and what `cost` says of them: the total, and what of it is for input."""
        exact = tokens_in * self._input
        total = -(-(exact + tokens_out * self._output) // _MTOK)
        return tokens_in, tokens_out, total, -(-exact // _MTOK)


def flat_price(price: Price | None) -> FlatPrice | None:
    """None where more than the number of tokens decides, or no rate is known for them."""
    if (
        price is None
        or price.request
        or price.above
        or price.tiers
        or not price.missing.isdisjoint(("input", "output"))
    ):
        return None
    return FlatPrice(price)


def _detailed(usage: Usage, price: Price) -> Cost:
    full = usage if isinstance(usage, DetailedUsage) else None
    cached = min(usage.cached_read, usage.input)
    written = min(usage.cache_write, usage.input - cached)
    long = min(full.cache_write_1h, written) if full is not None else 0
    # Which of the cached tokens were audio is not said: text counts as cached first.
    audio_in = min(usage.audio_in, usage.input - cached - written)
    image_in = min(
        full.image_in if full is not None else 0, usage.input - cached - written - audio_in
    )
    text_in = usage.input - cached - written - audio_in - image_in
    audio_out = min(usage.audio_out, usage.output)
    image_out = min(full.image_out if full is not None else 0, usage.output - audio_out)
    reasoning = min(usage.reasoning, usage.output - audio_out - image_out)
    text_out = usage.output - audio_out - image_out - reasoning
    # A picture that has a price of its own is paid by it; then what it is made of is not.
    by_the_piece = usage.images and "image" not in price.missing
    calls = max(1, full.units) if full is not None else 1
    searches = full.searches if full is not None else 0
    length = full.audio_ms if full is not None else 0
    parts = (
        text_in * price.input,
        cached * price.cached_input,
        (written - long) * price.cache_write + long * price.cache_write_1h,
        text_out * price.output,
        reasoning * price.reasoning,
        # Rounding up twice is rounding up once.
        audio_in * price.audio_input + -(-length * price.audio_hour * _MTOK // _HOUR_MS),
        audio_out * price.audio_output,
        image_in * price.image_input
        + (0 if by_the_piece else image_out * price.image_output)
        + usage.images * price.image * _MTOK,
        (calls * price.request + searches * price.search) * _MTOK,
    )
    exact = total = 0
    classes = []
    for part in parts:
        exact += part
        before = total
        total = -(-exact // _MTOK)
        classes.append(total - before)
    return Cost(total, *classes)
