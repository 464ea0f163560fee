"""Every price of every model in the catalogue, with any usage: exact, whole, nothing paid twice."""

import math
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.usage.cost import cost
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import FREE, Price
from proxy.usage.prices.table import price_of_row
from proxy.wire.record import Cost, Usage
from proxy.wire.usage import DetailedUsage
from tests.examples import examples
from tests.unit.usage_prices.test_prices_cost import exact, usages

_CLASSES = tuple(name for name in Cost.__struct_fields__ if name != "total")


def _prices() -> Iterator[Price]:
    catalogue = in_force()
    for vendor in catalogue.providers:
        for entry in catalogue.models(vendor):
            for periods in (entry["periods"], *entry.get("tiers", {}).values()):
                yield from map(price_of_row, periods)


@pytest.fixture(scope="module")
def prices() -> list[Price]:
    # Many models have the same price.
    return list(dict.fromkeys(_prices()))


def test_it_is_the_whole_catalogue(prices: list[Price]) -> None:
    catalogue = in_force()
    assert sum(1 for vendor in catalogue.providers for _ in catalogue.models(vendor)) >= 2330
    assert len(prices) > 500
    assert set(prices) == set(_prices())


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(usage=usages())
def test_classes_add_up_and_each_token_is_paid_once(prices: list[Price], usage: Usage) -> None:
    for price in prices:
        found = cost(usage, price)
        classes = {name: getattr(found, name) for name in _CLASSES}
        assert sum(classes.values()) == found.total
        assert min(classes.values()) >= 0
        # `exact` takes each token out of its whole once and pays for it there.
        true = exact(usage, price.at_context(usage.input))
        assert found.total == math.ceil(sum(true.values()))
        assert all(abs(classes[name] - true[name]) < 1 for name in true)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(usage=usages())
def test_what_is_covered_has_a_rate_for_all_of_it(prices: list[Price], usage: Usage) -> None:
    for price in prices:
        if not price.covers(usage) or "request" not in price.missing:
            continue
        by_length = isinstance(usage, DetailedUsage) and usage.audio_ms
        missing = price.missing
        assert not (by_length and "audio_hour" in missing)
        if "image" in missing and not (by_length and {"input", "output"} <= missing):
            assert not ("input" in missing and usage.input > _apart(usage, "audio_in", "image_in"))
            assert not (
                "output" in missing and usage.output > _apart(usage, "audio_out", "image_out")
            )
            assert not (usage.images and not usage.input and not usage.output)


def _apart(usage: Usage, *names: str) -> int:
    return sum(getattr(usage, name, 0) for name in names)


@given(usages())
def test_what_is_free_costs_nothing_in_every_class(usage: Usage) -> None:
    assert cost(usage, FREE) == Cost()
    assert FREE.covers(usage)


@given(usages(), st.integers(1, 10**9))
def test_a_picture_with_a_price_is_not_paid_by_its_tokens_too(usage: Usage, each: int) -> None:
    price = Price.of({"output": 10**9, "image_output": 10**9, "image": each})
    full = usage if isinstance(usage, DetailedUsage) else DetailedUsage()
    tokens = 0 if usage.images else -(-full.image_out * 10**9 // 10**6)
    assert abs(cost(usage, price).images - usage.images * each - tokens) <= 1
