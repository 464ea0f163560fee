"""Prices that vendors publish, written down by hand and worked out to the nano-USD.

As they stand, for the catalogue's date, on openai.com/api/pricing, claude.com/pricing#api,
ai.google.dev/gemini-api/docs/pricing, groq.com/pricing, aws.amazon.com/bedrock/pricing and
docs.perplexity.ai/guides/pricing. Costs are in USD, by hand, without any code of ours.
"""

from decimal import Decimal

import pytest

from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.table import PriceTable
from proxy.wire.record import Usage
from proxy.wire.usage import DetailedUsage
from tests.unit.usage_prices.prices_catalogue import Target

VENDORS = {
    "openai": Vendor("openai", "https://api.openai.com/v1"),
    "anthropic": Vendor("anthropic"),
    "gemini": Vendor("openai", "https://generativelanguage.googleapis.com/v1beta/openai"),
    "groq": Vendor("openai", "https://api.groq.com/openai/v1"),
    "bedrock": Vendor("bedrock"),
    "perplexity": Vendor("perplexity"),
}

PUBLISHED = (
    # 1,000 in of which 400 cached, 100 out: 600 at 2.50, 400 at 1.25, 100 at 10 per million.
    ("openai", "gpt-4o", Usage(1000, 100, 400), "0.003"),
    ("openai", "gpt-4o-mini", Usage(1000, 100, 400), "0.00018"),
    ("openai", "gpt-4.1", Usage(1000, 100, 400), "0.0022"),
    # 2 and 8; 64 of the 100 are reasoning, which costs the same.
    ("openai", "o3", Usage(1000, 100, reasoning=64), "0.0028"),
    ("openai", "text-embedding-3-small", Usage(7), "0.00000014"),
    # 0.006 a minute.
    ("openai", "whisper-1", DetailedUsage(audio_ms=90_000), "0.009"),
    # Images: text in 5, image in 10, out 40.
    ("openai", "gpt-image-1", DetailedUsage(50, 1056, image_in=40, image_out=1056), "0.04269"),
    # 3, 15, read 0.30, written 3.75.
    ("anthropic", "claude-sonnet-4-5-20250929", Usage(10_000, 100, 8000, 1000), "0.01065"),
    # 6, 22.50, read 0.60, written for an hour 12, above 200,000 tokens: of all tokens.
    (
        "anthropic",
        "claude-sonnet-4-5",
        DetailedUsage(300_000, 1000, 100_000, 50_000, cache_write_1h=50_000),
        "1.5825",
    ),
    ("anthropic", "claude-opus-4-1-20250805", Usage(1000, 100), "0.0225"),
    ("anthropic", "claude-3-5-haiku-20241022", Usage(1000, 100), "0.0012"),
    # 1.25 and 10 up to 200,000 tokens, 2.50 and 15 above.
    ("gemini", "models/gemini-2.5-pro", Usage(200_000, 1000), "0.26"),
    ("gemini", "gemini-2.5-pro", Usage(200_001, 1000), "0.5150025"),
    # Text 0.30, audio 1.00, out 2.50.
    ("gemini", "gemini-2.5-flash", Usage(1000, 100, audio_in=400), "0.00083"),
    ("groq", "llama-3.3-70b-versatile", Usage(1000, 100), "0.000669"),
    ("bedrock", "us.anthropic.claude-3-5-sonnet-20241022-v2:0", Usage(1000, 100), "0.0045"),
)


@pytest.fixture(scope="module")
def pricer() -> Pricer:
    return Pricer(PriceTable(in_force), VENDORS)


@pytest.mark.parametrize(("provider", "model", "usage", "usd"), PUBLISHED)
def test_a_published_price(
    pricer: Pricer, provider: str, model: str, usage: Usage, usd: str
) -> None:
    found = pricer.cost(Target(provider, model), usage)
    assert found is not None
    assert Decimal(found.total) / 10**9 == Decimal(usd)


def test_o3_costs_what_it_cost_on_the_day(pricer: Pricer) -> None:
    """OpenAI lowered it from 10 and 40 to 2 and 8 on 10 June 2025."""
    before, after = (pricer.price("openai", "o3", at) for at in (1749513599, 1749513600))
    assert before is not None
    assert after is not None
    assert (before.input, before.output) == (10 * 10**9, 40 * 10**9)
    assert (after.input, after.output) == (2 * 10**9, 8 * 10**9)


def test_batch_costs_half(pricer: Pricer) -> None:
    at = 1795000000  # November 2026.
    price = pricer.price("openai", "gpt-4o", at, tier="batch")
    assert price is not None
    assert (price.input, price.output) == (1_250_000_000, 5 * 10**9)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-never"),
        ("openai", ""),
        ("openai", "x" * 300),
        ("openai", "ft:gpt-4.1-2025-04-14:house::abc"),
        ("groq", "gpt-4o"),
        ("nobody", "gpt-4o"),
    ],
)
def test_what_is_not_known_costs_none_and_never_nothing(
    pricer: Pricer, provider: str, model: str
) -> None:
    assert pricer.cost(Target(provider, model), Usage(1000, 100)) is None
