"""Exact money: against fractions, for any usage and any price."""

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from proxy.usage.cost import cost
from proxy.usage.prices.price import COLUMNS, Price, from_usd
from proxy.wire.record import Cost, Usage
from proxy.wire.usage import DetailedUsage

_MTOK = 10**6
_RATES = st.dictionaries(
    st.sampled_from(COLUMNS), st.integers(0, 10**12) | st.integers(0, 10**4), min_size=1
)
_TOKENS = st.integers(0, 3_000_000)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usage whose parts fit the whole, as readers give it; sometimes with details."""
    cached, written, text, audio_in, image_in = (draw(_TOKENS) for _ in range(5))
    reasoning, made, audio_out, image_out = (draw(_TOKENS) for _ in range(4))
    images = draw(st.integers(0, 4))
    if draw(st.booleans()):
        return Usage(
            cached + written + text, made + reasoning, cached, written, reasoning, images=images
        )
    return DetailedUsage(
        cached + written + text + audio_in + image_in,
        made + reasoning + audio_out + image_out,
        cached,
        written,
        reasoning,
        audio_in,
        audio_out,
        images,
        image_in,
        image_out,
        draw(st.integers(0, written)),
        draw(st.integers(0, 10**7)),
        draw(st.integers(0, 5)),
        draw(st.integers(0, 5)),
    )


def exact(usage: Usage, price: Price) -> dict[str, Fraction]:
    """What each class costs, in nano-USD, without any rounding."""
    full = usage if isinstance(usage, DetailedUsage) else DetailedUsage()
    text_in = usage.input - usage.cached_read - usage.cache_write - usage.audio_in - full.image_in
    text_out = usage.output - usage.reasoning - usage.audio_out - full.image_out
    written = usage.cache_write - full.cache_write_1h
    per_mtok = {
        "input": text_in * price.input,
        "cached_read": usage.cached_read * price.cached_input,
        "cache_write": written * price.cache_write + full.cache_write_1h * price.cache_write_1h,
        "output": text_out * price.output,
        "reasoning": usage.reasoning * price.reasoning,
        "audio_in": usage.audio_in * price.audio_input,
        "audio_out": usage.audio_out * price.audio_output,
        "images": full.image_in * price.image_input,
    }
    found = {name: Fraction(value, _MTOK) for name, value in per_mtok.items()}
    found["audio_in"] += Fraction(full.audio_ms * price.audio_hour, 3_600_000)
    if not usage.images or "image" in price.missing:  # Else by the picture.
        found["images"] += Fraction(full.image_out * price.image_output, _MTOK)
    found["images"] += usage.images * price.image
    found["request"] = Fraction(max(1, full.units) * price.request + full.searches * price.search)
    return found


@given(usages(), _RATES)
def test_the_total_is_exact_rounded_up_once_and_the_classes_add_up(
    usage: Usage, rates: dict[str, int]
) -> None:
    price = Price.of(rates)
    found, true = cost(usage, price), exact(usage, price)
    assert found.total == math.ceil(sum(true.values()))
    classes = {name: getattr(found, name) for name in Cost.__struct_fields__ if name != "total"}
    assert sum(classes.values()) == found.total
    assert all(abs(classes[name] - true[name]) < 1 for name in true)


@given(usages(), _RATES, st.integers(0, 4_000_000))
def test_above_a_context_size_every_token_costs_the_other_price(
    usage: Usage, rates: dict[str, int], start: int
) -> None:
    above = Price.of({name: rate * 2 for name, rate in rates.items()})
    tiered = Price.of(rates, above=((start, above),))
    expected = above if usage.input > start else Price.of(rates)
    assert cost(usage, tiered) == cost(usage, expected)


@given(
    st.builds(Usage, *[st.integers(0, 100)] * 8),
    _RATES,
)
def test_parts_larger_than_the_whole_never_make_a_negative_cost(
    usage: Usage, rates: dict[str, int]
) -> None:
    found = cost(usage, Price.of(rates))
    assert min(getattr(found, name) for name in Cost.__struct_fields__) >= 0
    assert sum(getattr(found, name) for name in Cost.__struct_fields__) == 2 * found.total


def test_several_sizes_of_context_take_the_highest_that_is_passed() -> None:
    steps = tuple((start, from_usd({"input": usd})) for start, usd in ((100, 2), (200, 3)))
    price = Price.of({"input": 10**9}, above=steps)
    totals = [cost(Usage(tokens), price).total for tokens in (100, 101, 200, 201)]
    assert totals == [100_000, 202_000, 400_000, 603_000]


def test_cached_audio_and_reasoning_tokens_are_not_paid_twice() -> None:
    price = from_usd(
        {"input": 2, "output": 8, "cached_input": 0.5, "audio_input": 40, "audio_output": 80}
    )
    usage = Usage(1000, 500, cached_read=600, reasoning=300, audio_in=100, audio_out=50)
    assert cost(usage, price) == Cost(
        total=300 * 2000 + 600 * 500 + 100 * 40_000 + 150 * 8000 + 300 * 8000 + 50 * 80_000,
        input=300 * 2000,
        cached_read=600 * 500,
        audio_in=100 * 40_000,
        output=150 * 8000,
        reasoning=300 * 8000,
        audio_out=50 * 80_000,
    )


def test_a_request_is_paid_once_and_a_search_unit_each() -> None:
    price = from_usd({"request": 0.002})
    assert cost(Usage(), price).request == 2_000_000
    assert cost(DetailedUsage(units=3), price) == Cost(total=6_000_000, request=6_000_000)


def test_a_fraction_of_a_nano_is_rounded_up() -> None:
    price = Price.of({"input": 1, "output": 1})
    assert cost(Usage(1, 0), price).total == 1
    assert cost(Usage(500_000, 500_001), price) == Cost(total=2, input=1, output=1)
