"""What a model costs: integer rates, so that every cost is exact.

Tokens are priced in nano-USD per million tokens (10⁻¹⁵ USD per token: every published price is a
whole number of these); single things (an image, a request, a search) in nano-USD each; audio that
is billed by its length in nano-USD per hour. A class without a rate of its own costs what the
class it is part of costs: cached, written and audio tokens as input, reasoning as output.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from proxy.wire.record import Usage
from proxy.wire.usage import DetailedUsage

NANO = 10**9
MOST = 10**15
"""A million USD per million tokens: a larger rate is an error of whoever wrote it."""

COLUMNS = (
    "input",
    "output",
    "cached_input",
    "cache_write",
    "search",
    "cache_write_1h",
    "request",
    "audio_input",
    "audio_output",
    "reasoning",
    "image_input",
    "image_output",
    "audio_hour",
    "image",
)
"""In the order of the catalogue's rows: what most models have comes first."""

_EACH = frozenset(("search", "request", "image"))
_PART_OF = {
    "cached_input": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "reasoning": "output",
    "audio_input": "input",
    "audio_output": "output",
    "image_input": "input",
    "image_output": "output",
}


@dataclass(frozen=True, slots=True)
class Price:
    """The rates of one model at one time. Make it with `Price.of`, which fills the gaps."""

    input: int
    output: int
    cached_input: int
    cache_write: int
    cache_write_1h: int
    reasoning: int
    audio_input: int
    audio_output: int
    image_input: int
    image_output: int
    image: int
    request: int
    search: int
    audio_hour: int
    missing: frozenset[str] = frozenset()  # Classes without any rate; their 0 means nothing.
    above: tuple[
        tuple[int, "Price"], ...
    ] = ()  # From more than so many input tokens on, all of it.
    context_window: int | None = None
    tiers: frozenset[str] = frozenset()  # Service tiers with prices of their own.

    @classmethod
    def of(
        cls,
        rates: Mapping[str, int],
        *,
        above: tuple[tuple[int, "Price"], ...] = (),
        context_window: int | None = None,
        tiers: frozenset[str] = frozenset(),
    ) -> "Price":
        """The price with these rates, by class."""
        full = dict(rates)
        for part, whole in _PART_OF.items():
            if part not in full and whole in full:
                full[part] = full[whole]
        return cls(
            input=full.get("input", 0),
            output=full.get("output", 0),
            cached_input=full.get("cached_input", 0),
            cache_write=full.get("cache_write", 0),
            cache_write_1h=full.get("cache_write_1h", 0),
            reasoning=full.get("reasoning", 0),
            audio_input=full.get("audio_input", 0),
            audio_output=full.get("audio_output", 0),
            image_input=full.get("image_input", 0),
            image_output=full.get("image_output", 0),
            image=full.get("image", 0),
            request=full.get("request", 0),
            search=full.get("search", 0),
            audio_hour=full.get("audio_hour", 0),
            missing=frozenset(name for name in COLUMNS if name not in full),
            above=above,
            context_window=context_window,
            tiers=tiers,
        )

    def at_context(self, tokens: int) -> "Price":
        """The price of a request with so many tokens of input."""
        found = self
        for start, price in self.above:
            if tokens > start:
                found = price
        return found

    def covers(self, usage: Usage) -> bool:
        """Whether all that was used has a rate: what has none may not pass for free."""
        missing = self.missing
        if missing.isdisjoint(("input", "output")) and type(usage) is Usage and not usage.images:
            return True
        if "request" not in missing:
            return True
        if not isinstance(usage, DetailedUsage):
            return self._covers_tokens(usage, 0, 0)
        tokens = usage.input or usage.output
        if (
            usage.unmeasured
            or (usage.units and not tokens)
            or (usage.audio_ms and "audio_hour" in missing)
            or (usage.searches and "search" in missing)
        ):
            return False
        if usage.audio_ms and (not tokens or self.missing.issuperset(("input", "output"))):
            return True  # By its length alone; tokens beside it are for information.
        return self._covers_tokens(usage, usage.image_in, usage.image_out)

    def _covers_tokens(self, usage: Usage, images_in: int, images_out: int) -> bool:
        missing = self.missing
        if usage.images and "image" not in missing:
            return True
        if usage.images and not (usage.input or usage.output):
            return False
        if missing.issuperset(("input", "output")):
            return False
        return not (
            ("input" in missing and usage.input > usage.audio_in + images_in)
            or ("output" in missing and usage.output > usage.audio_out + images_out)
            or ("audio_input" in missing and usage.audio_in)
            or ("audio_output" in missing and usage.audio_out)
            or ("image_input" in missing and images_in)
            or ("image_output" in missing and images_out)
        )


def from_usd(prices: Mapping[str, float | str]) -> Price:
    """The price an operator writes: USD per million tokens; image, request and search USD each.

    Raises ValueError, saying which entry is wrong."""
    rates = {}
    for name, value in prices.items():
        if name not in COLUMNS:
            raise ValueError(f"`{name}` is no class of price; there are {', '.join(COLUMNS)}")
        rates[name] = _nano(name, value)
    if not rates:
        raise ValueError("a price needs at least one class, such as `input` and `output`")
    return Price.of(rates)


def _nano(name: str, value: float | str) -> int:
    try:
        exact = Decimal(str(value)) * NANO
    except InvalidOperation:
        raise ValueError(f"`{name}` must be a number of USD") from None
    if not exact.is_finite() or not 0 <= exact <= MOST:
        raise ValueError(f"`{name}` must be from 0 to {MOST // NANO} USD")
    if exact != exact.to_integral_value():
        raise ValueError(f"`{name}` has more than nine decimals")
    return int(exact)


def in_usd(rate: int) -> str:
    """A rate as people write it: `2.5`, never rounded."""
    text = f"{rate // NANO}.{rate % NANO:09d}".rstrip("0")
    return text.removesuffix(".")


def unit(column: str) -> str:
    """What the rate of a class is for."""
    if column == "audio_hour":
        return "hour"
    return "each" if column in _EACH else "million tokens"


FREE = Price.of(dict.fromkeys(COLUMNS, 0))
"""Known to cost nothing, as against None: not known."""
