"""How a model's price is found: exact names, rules in order, spellings, dates, hours, tiers."""

from datetime import UTC, datetime

import pytest

from proxy.usage.prices.catalogue import Catalogue, matches
from proxy.usage.prices.files import in_force
from proxy.usage.prices.names import spellings
from proxy.usage.prices.price import FREE
from proxy.usage.prices.table import PriceTable
from tests.unit.usage_prices import prices_catalogue

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def table() -> PriceTable:
    return PriceTable(lambda: Catalogue(prices_catalogue.text()))


def _input(table: PriceTable, kind: str, model: str, at: float = NOON) -> int | None:
    price = table.price(kind, "", model, at)
    return None if price is None else price.input


@pytest.mark.parametrize(
    ("kind", "model", "rate"),
    [
        ("openai", "one", 1),
        ("openai", "ONE", 1),
        ("openai", "Zwei", 3),
        ("openai", "easel-9", 5),  # By the first rule that fits.
        ("openai", "a-easel", 6),
        ("openai", "easel", 6),  # By its own name, whatever rule comes first.
        ("openai", "one-2026-01-31", 1),
        ("openai", "one-20260131", 1),
        ("openai", "one-mini", None),
        ("openai", "ft:one-2026-01-31", None),
        ("openai", "unpriced", None),
        ("azure", "own", 7),
        ("azure", "two", 3),
        ("bedrock", "us.anthropic.claude-v1:0", 8),
        ("bedrock", "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude", 8),
        ("bedrock", "global.anthropic.claude", 9),
        ("bedrock", "global.anthropic.claude-v1:0", 9),
        ("bedrock", "global.other", None),
        ("gemini", "models/gemini", 10),
        ("vertex", "publishers/google/models/gemini@20260131", 10),
        ("vertex", "gemini@default", 10),
        ("openrouter", "meta/llama:nitro", 11),
        ("openrouter", "openai/two", 3),
        ("openrouter", "openai/two:floor", 3),
        ("openrouter", "openai/two:extended", None),
        ("openrouter", "other/two", None),
        ("vllm", "one", None),
        ("demo", "one", None),
        ("unheard-of", "one", None),
    ],
)
def test_a_name_is_found_or_not(table: PriceTable, kind: str, model: str, rate: int | None) -> None:
    assert _input(table, kind, model) == rate
    assert _input(table, kind, model) == rate  # The second time from memory.


def test_free_at_openrouter_is_known_to_be_free(table: PriceTable) -> None:
    assert table.price("openrouter", "", "any/model:free", NOON) is FREE
    assert table.price("openai", "", "one:free", NOON) is None


@pytest.mark.parametrize(
    ("url", "vendor"),
    [
        ("", "openai"),
        ("api.openai.com", "openai"),
        ("https://api.openai.com/v1", "openai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "google"),
        ("http://127.0.0.1:8000/v1", None),
        ("https://gateway.example", None),
    ],
)
def test_a_compatible_vendor_is_known_by_its_host(
    table: PriceTable, url: str, vendor: str | None
) -> None:
    assert table.provider("openai", url) == vendor


@pytest.mark.parametrize(
    ("moment", "rate"),
    [
        (datetime(2025, 12, 31, 22, 59, 59, tzinfo=UTC), 20),
        (datetime(2025, 12, 31, 23, tzinfo=UTC), 22),
        (datetime(2026, 1, 1, 0, 59, 59, tzinfo=UTC), 22),
        (datetime(2026, 1, 1, 1, tzinfo=UTC), 21),
        (datetime(2026, 1, 1, 12, tzinfo=UTC), 21),
    ],
)
def test_a_price_holds_from_its_day_on_and_in_its_hours(
    table: PriceTable, moment: datetime, rate: int
) -> None:
    assert _input(table, "deepseek", "night", moment.timestamp()) == rate


def test_a_tier_has_its_own_price_and_an_unknown_one_the_standard(table: PriceTable) -> None:
    batch = table.price("deepseek", "", "night", NOON, "batch")
    other = table.price("deepseek", "", "night", NOON, "turbo")
    assert batch is not None
    assert other is not None
    assert (batch.input, batch.at_context(100).input, batch.at_context(101).input) == (12, 12, 13)
    assert (other.input, other.context_window) == (21, 64)


def test_the_catalogue_is_read_when_it_is_first_asked_and_once() -> None:
    reads: list[int] = []

    def load() -> Catalogue:
        reads.append(1)
        return Catalogue(prices_catalogue.text())

    table = PriceTable(load)
    assert reads == []
    assert (table.version, _input(table, "openai", "one"), reads) == (
        prices_catalogue.body()["version"],
        1,
        [1],
    )


def test_what_is_remembered_is_bounded(table: PriceTable) -> None:
    for number in range(10_000):
        table.price("openai", "", f"guess-{number}", NOON)
    assert len(table._found) <= 4096
    assert _input(table, "openai", "one") == 1


def test_spellings_begin_with_the_name_itself_and_never_repeat() -> None:
    assert list(spellings("openai", "GPT-4o-20260131")) == [
        "gpt-4o-20260131",
        "gpt-4o-2026-01-31",
        "gpt-4o",
    ]
    assert list(spellings("openai", "gpt-4o")) == ["gpt-4o"]


def test_rules_nest() -> None:
    rule = ["and", ["or", ["is", "a"], ["ends", "z"]], ["regex", "^[a-c]"]]
    assert [name for name in ("a", "bz", "dz", "c") if matches(rule, name)] == ["a", "bz"]


def test_the_bundled_catalogue_has_thousands_of_models_most_with_a_context_window() -> None:
    catalogue = in_force()
    priced = [
        entry
        for vendor in catalogue.providers
        for entry in catalogue.models(vendor)
        if entry["periods"]
    ]
    assert len(priced) > 2000
    assert sum("context_window" in entry for entry in priced) > 1000
    table = PriceTable(in_force)
    for vendor in catalogue.providers:
        for entry in catalogue.models(vendor):
            for name in entry.get("names", (entry["id"],)):
                assert table.catalogue.find(vendor, name.lower()) == entry
