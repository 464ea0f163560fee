"""Well-known models, priced by hand: the sum that a person would write on paper, in USD.

Rates are those that the vendors publish, per million tokens. Tiers are those that answers name.
"""

from decimal import Decimal

import pytest

from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.table import PriceTable
from proxy.wire.record import Usage
from proxy.wire.usage import DetailedUsage
from tests.unit.usage_prices.prices_catalogue import Target

D = Decimal
KINDS = ("openai", "anthropic", "gemini", "groq", "xai", "cohere")

# Provider, model, tier, usage, what it costs in millionths of a dollar.
GOLDEN = (
    ("openai", "gpt-4o", "", Usage(1000, 100, 400),
     600 * D("2.50") + 400 * D("1.25") + 100 * D("10")),
    ("openai", "gpt-4o", "priority", Usage(1000, 100, 400),
     600 * D("4.25") + 400 * D("2.125") + 100 * D("17")),
    ("openai", "gpt-4o", "default", Usage(1000, 100), 1000 * D("2.50") + 100 * D("10")),
    ("openai", "gpt-4o", "scale", Usage(1000, 100), 1000 * D("2.50") + 100 * D("10")),
    ("openai", "gpt-5", "", Usage(5000, 900, 3000, reasoning=640),
     2000 * D("1.25") + 3000 * D("0.125") + 900 * D("10")),
    ("openai", "gpt-5", "flex", Usage(5000, 900, 3000, reasoning=640),
     2000 * D("0.625") + 3000 * D("0.0625") + 900 * D("5")),
    ("openai", "gpt-5", "priority", Usage(5000, 900), 5000 * D("2.50") + 900 * D("20")),
    ("openai", "gpt-4.1", "", Usage(123, 45, 100),
     23 * D("2") + 100 * D("0.50") + 45 * D("8")),
    ("openai", "o4-mini", "", Usage(77, 1000, reasoning=960), 77 * D("1.10") + 1000 * D("4.40")),
    ("openai", "gpt-4o-transcribe", "", Usage(140, 45, audio_in=130),
     10 * D("2.50") + 130 * D("6") + 45 * D("10")),
    ("openai", "gpt-image-1", "", DetailedUsage(50, 1056, images=1, image_in=40, image_out=1056),
     10 * D("5") + 40 * D("10") + 1056 * D("40")),
    ("anthropic", "claude-sonnet-4-5", "",
     DetailedUsage(10_000, 500, 6000, 3000, cache_write_1h=1000, searches=2),
     1000 * D("3") + 6000 * D("0.30") + 2000 * D("3.75") + 1000 * D("6") + 500 * D("15")
     + 2 * D("0.01") * 10**6),
    ("anthropic", "claude-opus-4-5", "standard", Usage(2000, 300, 1500),
     500 * D("5") + 1500 * D("0.50") + 300 * D("25")),
    ("gemini", "gemini-2.5-pro", "", Usage(200_001, 1000, reasoning=700),
     200_001 * D("2.50") + 1000 * D("15")),
    ("gemini", "gemini-2.5-flash", "", Usage(1000, 100, 200, audio_in=300),
     500 * D("0.30") + 200 * D("0.03") + 300 * D("1.00") + 100 * D("2.50")),
    ("groq", "llama-3.3-70b-versatile", "on_demand", Usage(1000, 100),
     1000 * D("0.59") + 100 * D("0.79")),
    ("groq", "whisper-large-v3-turbo", "", DetailedUsage(audio_ms=90_000),
     D("0.04") * 10**6 * 90 / 3600),
    ("xai", "grok-4", "", Usage(1000, 300, 600, reasoning=250),
     400 * D("3") + 600 * D("0.75") + 300 * D("15")),
    ("cohere", "command-a-03-2025", "", Usage(71, 418), 71 * D("2.50") + 418 * D("10")),
)  # fmt: skip


@pytest.fixture(scope="module")
def pricer() -> Pricer:
    return Pricer(PriceTable(in_force), {kind: Vendor(kind) for kind in KINDS})


@pytest.mark.parametrize(
    ("provider", "model", "tier", "usage", "millionths"),
    GOLDEN,
    ids=[f"{model} {tier}" for _, model, tier, _, _ in GOLDEN],
)
def test_a_price_worked_out_by_hand(
    pricer: Pricer, provider: str, model: str, tier: str, usage: Usage, millionths: Decimal
) -> None:
    found = pricer.cost(Target(provider, model), usage, lambda: tier)
    assert found is not None
    assert D(found.total) == millionths * 1000  # Nano-USD, and here never a fraction of one.


def test_a_tier_is_not_asked_for_where_it_changes_nothing(pricer: Pricer) -> None:
    def never() -> str:
        raise AssertionError

    assert pricer.cost(Target("xai", "grok-4"), Usage(1), never) is not None
    assert pricer.cost(Target("openai", "no-such-model"), Usage(1), never) is None


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("dall-e-3", Usage(images=1)),
        ("tts-1", DetailedUsage(unmeasured=1)),
        ("gpt-4o-mini-tts", DetailedUsage(unmeasured=1)),
        ("whisper-1", DetailedUsage(unmeasured=1)),
        ("gpt-image-1", Usage(images=1)),
        ("gpt-4o-transcribe", DetailedUsage(audio_ms=9000)),
    ],
)
def test_pictures_and_sound_without_a_count_are_unknown_and_never_nothing(
    pricer: Pricer, model: str, usage: Usage
) -> None:
    assert pricer.cost(Target("openai", model), usage) is None
