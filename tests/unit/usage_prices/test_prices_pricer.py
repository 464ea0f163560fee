"""What attempts cost: own prices first, versions that name them, None for what has no rate."""

import pytest

from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.catalogue import Catalogue
from proxy.usage.prices.price import FREE, Price, from_usd, in_usd, unit
from proxy.usage.prices.table import PriceTable
from proxy.wire.record import Cost, Usage
from proxy.wire.usage import DetailedUsage
from tests.unit.usage_prices import prices_catalogue
from tests.unit.usage_prices.prices_catalogue import Target


def _pricer(own: dict[tuple[str, str], Price] | None = None) -> Pricer:
    table = PriceTable(lambda: Catalogue(prices_catalogue.text()))
    return Pricer(table, {"main": Vendor("openai"), "house": Vendor("vllm", "http://x")}, own)


def test_an_own_price_comes_first_and_stands_alone() -> None:
    pricer = _pricer({("main", "one"): from_usd({"input": 2, "output": 4})})
    assert pricer.cost(Target("main", "one"), Usage(10, 5, 4)) == Cost(
        total=40_000, input=12_000, cached_read=8_000, output=20_000
    )
    assert pricer.cost(Target("main", "two"), Usage(1_000_000)) == Cost(total=3, input=3)


def test_an_own_price_per_request_is_per_search_unit() -> None:
    pricer = _pricer({("house", "rerank"): from_usd({"request": "0.002"})})
    three = pricer.cost(Target("house", "rerank"), DetailedUsage(units=3))
    assert three == Cost(total=6_000_000, request=6_000_000)


def test_an_own_price_holds_in_every_tier() -> None:
    pricer = _pricer({("main", "one"): from_usd({"input": 2})})
    assert pricer.cost(Target("main", "one"), Usage(10), lambda: "batch") == Cost(
        total=20_000, input=20_000
    )


def test_an_own_price_may_hold_for_many_models_of_its_provider() -> None:
    pricer = _pricer({("house", "llama-*-it"): from_usd({"request": 1})})
    assert pricer.cost(Target("house", "llama-4-it"), Usage(1, 1)) == Cost(
        total=10**9, request=10**9
    )
    for provider, model in (("house", "llama-it"), ("house", "gemma"), ("main", "llama-4-it")):
        assert pricer.cost(Target(provider, model), Usage(1, 1)) is None


def test_the_version_says_which_prices_made_a_record() -> None:
    plain = _pricer().version
    one, same, other = (
        _pricer({("main", "one"): from_usd({"input": usd})}).version for usd in (2, "2.0", 3)
    )
    assert plain == prices_catalogue.body()["version"]
    assert one == same != other
    assert one.startswith(f"{plain}+")


@pytest.mark.parametrize(
    ("rates", "usage", "covered"),
    [
        ({"input": 1, "output": 1}, Usage(1, 1, 1, 0, 1, 1, 1), True),
        ({"input": 1}, Usage(5), True),
        ({"input": 1}, Usage(5, 1), False),
        ({"output": 1}, Usage(5, 1), False),
        ({"output": 1, "audio_input": 1}, Usage(5, 1, audio_in=5), True),
        ({"output": 1, "audio_input": 1}, Usage(5, 1, audio_in=4), False),
        ({"input": 1, "audio_output": 1}, Usage(5, 3, audio_out=3), True),
        ({"input": 1, "image_output": 1}, DetailedUsage(5, 3, image_out=3), True),
        ({"input": 1, "image_output": 1}, DetailedUsage(5, 3, image_out=2), False),
        ({"request": 1}, Usage(5, 3), True),
        ({"image": 1}, Usage(images=2), True),
        ({"input": 1, "output": 1}, Usage(images=2), False),
        ({"input": 1, "output": 1}, Usage(9, 9, images=2), True),
        ({"audio_hour": 1}, DetailedUsage(audio_ms=5), True),
        ({"audio_hour": 1}, Usage(), False),
        ({"audio_hour": 1}, Usage(5, 5), False),
        ({"input": 1, "output": 1}, DetailedUsage(audio_ms=5), False),
        ({"input": 1, "output": 1}, DetailedUsage(5, 5, searches=1), False),
        ({"input": 1, "output": 1, "search": 1}, DetailedUsage(5, 5, searches=1), True),
        ({"input": 1, "output": 1}, DetailedUsage(5, 5, image_in=1), True),
        ({"input": 1, "output": 1}, DetailedUsage(unmeasured=1), False),
        ({"audio_hour": 1, "image": 1}, DetailedUsage(unmeasured=1), False),
        ({"request": 1}, DetailedUsage(unmeasured=1), True),
        ({"input": 1, "output": 1}, DetailedUsage(units=2), False),
        ({"input": 1, "output": 1}, DetailedUsage(815, units=2), True),
        ({"request": 1}, DetailedUsage(units=2), True),
        ({"request": 1}, DetailedUsage(audio_ms=5), True),
        ({"image": 1}, Usage(5, 3), False),
        ({"image": 1}, Usage(5, 3, images=1), True),
        ({"audio_hour": 1}, DetailedUsage(4, 3260, audio_ms=5), True),
        ({"audio_hour": 1, "input": 1}, DetailedUsage(4, 3260, audio_ms=5), False),
    ],
)
def test_what_has_no_rate_is_not_covered(
    rates: dict[str, int], usage: Usage, covered: bool
) -> None:
    pricer = _pricer({("main", "x"): Price.of(rates)})
    assert (pricer.cost(Target("main", "x"), usage) is not None) == covered


def test_free_is_a_price() -> None:
    assert FREE.covers(Usage(5, 5))
    assert _pricer({("main", "x"): FREE}).cost(Target("main", "x"), Usage(5, 5)) == Cost()


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ({}, "at least one"),
        ({"colour": 1}, "`colour` is no class"),
        ({"input": "much"}, "`input` must be a number"),
        ({"input": -1}, "`input` must be from 0"),
        ({"input": float("nan")}, "`input` must be from 0"),
        ({"input": float("inf")}, "`input` must be from 0"),
        ({"input": 1e7}, "`input` must be from 0"),
        ({"input": "0.0000000001"}, "more than nine decimals"),
    ],
)
def test_an_own_price_that_makes_no_sense_is_refused(
    prices: dict[str, float | str], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        from_usd(prices)


def test_a_float_means_the_number_that_was_written() -> None:
    assert from_usd({"input": 0.1, "output": 2.675}).output == 2_675_000_000
    assert from_usd({"input": 0.1}).input == 100_000_000


@pytest.mark.parametrize(
    ("rate", "text"), [(0, "0"), (1, "0.000000001"), (2_500_000_000, "2.5"), (10**10, "10")]
)
def test_a_rate_is_shown_to_the_last_digit(rate: int, text: str) -> None:
    assert in_usd(rate) == text


def test_units_are_named() -> None:
    assert [unit(name) for name in ("input", "image", "audio_hour")] == [
        "million tokens",
        "each",
        "hour",
    ]
