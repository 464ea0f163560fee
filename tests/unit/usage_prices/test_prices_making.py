"""The development script that makes the catalogue, on stand-ins for the library's classes."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from proxy.usage.prices.catalogue import text_of
from proxy.usage.prices.price import COLUMNS
from proxy.usage.prices.validation import problems
from tools.make_prices import catalogue


@dataclass
class ClauseEquals:
    equals: str


@dataclass
class ClauseStartsWith:
    starts_with: str


@dataclass
class ClauseOr:
    or_: list[Any]


@dataclass
class Model:
    """As much of the library's model as the script asks for."""

    id: str
    match: Any
    prices: Any
    context_window: int | None = None
    price_variants: list[Any] = field(default_factory=list)

    def get_prices(self, at: datetime, context: dict[str, str]) -> Any:
        found = SimpleNamespace(**self.prices.__dict__)
        for each in self.price_variants:
            if each.constraint is None or at.date() >= each.constraint.start_date:
                found.__dict__.update(each.prices.__dict__)
        return found


@dataclass
class Vendor:
    """A provider of one model."""

    id: str
    models: list[Model]
    api_pattern: str = "https://vendor"
    fallback_model_providers: list[str] | None = None

    def find_model(self, name: str) -> Model | None:
        return next((each for each in self.models if each.id.lower() == name), None)


def _rates(**values: object) -> SimpleNamespace:
    return SimpleNamespace(**values)


def _made(model: Model) -> dict[str, Any]:
    body = catalogue([Vendor("v", [model])], "2030-01-01", "9")
    assert problems(text_of(body)) == []
    entry: dict[str, Any] = body["models"]["v"][0]
    return entry


def test_prices_become_integers_and_noise_is_rounded() -> None:
    prices = _rates(
        input_mtok=Decimal("0.0833333333333333"),
        output_mtok=Decimal("0.27999999999999997"),
        requests_kcount=Decimal(12),
        input_document_kpages=Decimal(1),
        cache_read_mtok=None,
    )
    entry = _made(Model("m", ClauseEquals("m"), prices, 64))
    row = dict(zip(COLUMNS, entry["periods"][0]["rates"], strict=False))
    assert {name: rate for name, rate in row.items() if rate is not None} == {
        "input": 83_333_333,
        "output": 280_000_000,
        "request": 12_000_000,
    }
    assert entry["context_window"] == 64


def test_steps_of_the_context_keep_what_does_not_change() -> None:
    tiered = SimpleNamespace(
        base=Decimal(1), tiers=[SimpleNamespace(start=200_000, price=Decimal(2))]
    )
    entry = _made(Model("m", ClauseEquals("m"), _rates(input_mtok=tiered, output_mtok=Decimal(3))))
    assert entry["periods"] == [
        {"rates": [10**9, 3 * 10**9], "above": [[200_000, [2 * 10**9, 3 * 10**9]]]}
    ]


def test_names_and_rules_are_told_apart() -> None:
    match = ClauseOr([ClauseEquals("M"), ClauseEquals("other"), ClauseStartsWith("m-")])
    entry = _made(Model("m", match, _rates(input_mtok=Decimal(1))))
    assert "names" not in entry  # `other` finds no model of this vendor, so only its id is left.
    assert entry["match"] == [["starts", "m-"]]


def test_days_and_hours_are_kept_in_their_order() -> None:
    price = _rates(input_mtok=Decimal(1))
    conditions = [
        SimpleNamespace(prices=price, constraint=None),
        SimpleNamespace(prices=price, constraint=SimpleNamespace(start_date=date(2026, 1, 2))),
        SimpleNamespace(
            prices=price,
            constraint=SimpleNamespace(
                start_time=time(0, 30, tzinfo=UTC), end_time=time(16, tzinfo=UTC)
            ),
        ),
    ]
    entry = _made(Model("m", ClauseEquals("m"), conditions))
    assert [(each.get("from"), each.get("hours")) for each in entry["periods"]] == [
        (None, None),
        ("2026-01-02", None),
        (None, [30, 960]),
    ]


def test_a_tier_starts_on_its_day() -> None:
    batch = SimpleNamespace(
        when={"processing": "batch"},
        prices=_rates(input_mtok=Decimal("0.5")),
        constraint=SimpleNamespace(start_date=date(2026, 10, 14)),
    )
    model = Model("m", ClauseEquals("m"), _rates(input_mtok=Decimal(1)), price_variants=[batch])
    assert _made(model)["tiers"] == {
        "batch": [{"rates": [10**9]}, {"rates": [5 * 10**8], "from": "2026-10-14"}]
    }


def test_no_price_is_no_price_unless_the_vendor_calls_it_free() -> None:
    assert _made(Model("m", ClauseEquals("m"), _rates()))["periods"] == []
    assert _made(Model("m:free", ClauseEquals("m"), _rates()))["periods"] == [{"rates": [0, 0]}]
