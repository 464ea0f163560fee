"""Holds are walls: whatever a request uses within its need costs no more than was held for it.

The proof is a property over random prices and random usage, against the very function that reckons
what an attempt cost.
"""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.gate import Need, Rates
from proxy.limits import bounds
from proxy.usage.cost import cost
from proxy.usage.most import Most
from proxy.usage.pricer import Pricer
from proxy.usage.prices.price import COLUMNS, Price
from proxy.wire.usage import DetailedUsage
from tests.examples import examples

TIERS = frozenset(("flex", "priority"))
MANY = settings(max_examples=examples(100), deadline=None)

rates = st.dictionaries(
    st.sampled_from(COLUMNS), st.integers(0, 10**12) | st.integers(0, 50), min_size=1
)
windows = st.none() | st.integers(1, 3_000_000)


@st.composite
def prices(draw: st.DrawFn, tiers: frozenset[str] = TIERS) -> Price:
    above = tuple(
        (start, Price.of(draw(rates)))
        for start in sorted(draw(st.lists(st.integers(0, 400_000), max_size=2, unique=True)))
    )
    said = {"input": draw(st.integers(0, 10**10)), **draw(rates)}
    return Price.of(said, above=above, context_window=draw(windows), tiers=tiers)


@st.composite
def needs(draw: st.DrawFn) -> Need:
    many = st.integers(0, 20)
    return Need(
        input=draw(st.integers(0, 500_000)),
        pictures=draw(many),
        endless=draw(st.booleans()),
        output=draw(st.none() | st.integers(0, 300_000)),
        predicted=draw(st.integers(0, 1000)),
        choices=draw(st.integers(1, 8)),
        images=draw(many),
        seconds=draw(st.integers(0, 100_000)),
        searches=draw(many),
        calls=draw(st.integers(1, 20)),
        tier=draw(st.sampled_from(("", "auto", "default", "flex", "priority"))),
    )


class ByTier(Pricer):
    """One model, with a price for each tier."""

    def __init__(self, of: dict[str, Price]) -> None:
        self._by_tier = of

    def price(
        self, provider: str, model: str, at: float | None = None, tier: str = ""
    ) -> Price | None:
        return self._by_tier.get(tier, self._by_tier[""])


def charged(need: Need) -> tuple[str, ...]:
    """The tiers that a vendor may charge: the one asked for, or, where none was, any."""
    if need.tier in {"default", "flex"}:
        return ("", need.tier)
    return ("", *TIERS)


def used(
    draw: Callable[[st.SearchStrategy[int]], int], need: Need, of: Rates, output: int
) -> DetailedUsage:
    """Something within the need."""

    def up_to(most: int) -> int:
        return draw(st.integers(0, max(0, most)) | st.just(max(0, most)))

    given = need.input + need.pictures * of.picture
    if need.endless:
        given = max(given, of.window or 2_000_000)
    tokens_in, tokens_out = up_to(given), up_to(output)
    cached = up_to(tokens_in)
    written = up_to(tokens_in - cached)
    audio_in = up_to(tokens_in)
    audio_out = up_to(tokens_out)
    return DetailedUsage(
        input=tokens_in,
        output=tokens_out,
        cached_read=cached,
        cache_write=written,
        reasoning=up_to(tokens_out),
        audio_in=audio_in,
        audio_out=audio_out,
        images=up_to(need.images),
        image_in=up_to(tokens_in - audio_in),
        image_out=up_to(tokens_out - audio_out),
        cache_write_1h=up_to(written),
        audio_ms=up_to(need.seconds * 1000),
        searches=up_to(need.searches),
        units=up_to(need.calls),
    )


def rates_of(of: dict[str, Price], need: Need, model: str = "m") -> Rates:
    found = Most(ByTier(of)).most("p", model, bounds.longest(need), need.tier)
    assert found is not None
    return found


by_tier = st.fixed_dictionaries({"": prices(), "flex": prices(), "priority": prices()})


@MANY
@given(by_tier, needs(), st.booleans(), st.data())
def test_nothing_within_the_need_costs_more_than_the_hold(
    of: dict[str, Price], need: Need, stream: bool, data: st.DataObject
) -> None:
    found = rates_of(of, need)
    most = bounds.able(need, found, stream=stream)
    whole, least = bounds.money(need, found, most)
    assert 0 <= least <= whole
    output = need.output if need.output is not None else need.choices * most.tokens
    usage = used(data.draw, need, found, output + need.predicted)
    for tier in charged(need):
        assert cost(usage, of.get(tier, of[""])).total <= whole


@MANY
@given(by_tier, needs(), st.data())
def test_with_less_money_a_cap_keeps_the_cost_within_the_hold(
    of: dict[str, Price], need: Need, data: st.DataObject
) -> None:
    need = need._replace(output=None)
    found = rates_of(of, need)
    most = bounds.able(need, found, stream=data.draw(st.booleans()))
    whole, least = bounds.money(need, found, most)
    held = data.draw(st.integers(least, whole))
    cap = bounds.cap(need, found, held, most)
    assert cap >= 1
    usage = used(data.draw, need, found, cap * need.choices + need.predicted)
    for tier in charged(need):
        assert cost(usage, of.get(tier, of[""])).total <= held
    # A meter counts the same tokens.
    able = bounds.affordable(need, found, held)
    usage = used(data.draw, need, found, min(able, 10**9) + need.predicted)
    for tier in charged(need):
        assert cost(usage, of.get(tier, of[""])).total <= held


@MANY
@given(by_tier, needs(), st.integers(0, 10**6))
def test_counted_input_is_never_more_than_the_bound(
    of: dict[str, Price], need: Need, counted: int
) -> None:
    found = rates_of(of, need)
    most = bounds.able(need, found, stream=False)
    exact = bounds.exactly(need, counted)
    assert bounds.tokens(exact) <= bounds.tokens(need)
    assert bounds.tokens(bounds.at_best(need)) <= bounds.tokens(need)
    best = bounds.money(bounds.at_best(need), found, most)
    assert best <= bounds.money(need, found, most)
    assert exact.input <= counted


def test_a_price_that_grows_with_the_context_is_held_in_full() -> None:
    """What the vendor keeps may be as long as the window, beyond the step of the price."""
    dear = Price.of({"input": 100, "output": 100})
    price = Price.of({"input": 1, "output": 1}, above=((200_000, dear),), context_window=1_000_000)
    need = Need(10, 0, True, 5, 0, 1, 0, 0, 0, 1, "")
    found = rates_of({"": price}, need)
    whole, _ = bounds.money(need, found, bounds.able(need, found, stream=False))
    assert whole == 101  # 1,000,005 tokens at 100, rounded up.


def test_how_much_can_be_made_without_a_cap() -> None:
    base = Rates(1, 1, 0, 0, 0, 0, 4096, None, None)
    need = Need(10, 0, False, None, 0, 1, 0, 0, 0, 1, "")
    known = base._replace(most_output=16_384, window=128_000)
    wide = base._replace(window=128_000)
    small = base._replace(window=4096)
    free = base._replace(output=0)
    for of, stream, tokens, certain in (
        (known, False, 16_384, True),
        (known, True, 16_384, True),
        (wide, False, 128_000, True),
        (wide, True, bounds.STEP, False),
        (small, True, 4096, True),
        (base, False, bounds.STEP, False),
        (base, True, bounds.STEP, False),
        (free, True, bounds.STEP, True),
    ):
        assert bounds.able(need, of, stream=stream) == (tokens, certain)


def test_a_cap_is_no_higher_than_the_model_can_do() -> None:
    need = Need(0, 0, False, None, 0, 2, 0, 0, 0, 1, "")
    rates = Rates(0, 1_000_000, 0, 0, 0, 0, 4096, 128_000, None)  # A nano-dollar a token.
    most = bounds.able(need, rates, stream=False)
    assert bounds.cap(need, rates, 1000, most) == 500
    assert bounds.cap(need, rates, 100_000, most) == bounds.STEP
    known = rates._replace(most_output=16_384)
    assert bounds.cap(need, known, 10**9, bounds.able(need, known, stream=False)) == 16_384
