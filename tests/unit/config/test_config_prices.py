"""Prices: exact to the last digit, of a model or of one target, and never nothing at all."""

from decimal import Decimal
from pathlib import Path

import pytest

from proxy.config.accounting import Price
from proxy.config.snapshot import Snapshot
from tests.unit.config.config_cases import settings_of, wrong_with

DEMO = "providers: {demo: {kind: demo}}\n"


def model(text: str) -> str:
    return DEMO + f"models: {{m: {{targets: [{{provider: demo, model: d}}], {text}}}}}"


def price_of(folder: Path, text: str) -> Price:
    price = settings_of(folder, model(f"price: {text}")).models["m"].price
    assert price is not None
    return price


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0", "0"), ("0.1", "0.1"), ("'0.1'", "0.1"), ("2.50", "2.5"), ("10", "10"),
     ("1e-3", "0.001"), (".075", "0.075"), ("1.", "1"), ("0x10", "16"), ("1_0e0", None),
     ("0.123456789", "0.123456789"), ("999999.123456789", "999999.123456789"),
     ("1.000000000000000000000000000000", "1"),
     ("0e-999", "0"), ("1000000", "1000000"), ("'1000000.0000000000000001'", None)],
)  # fmt: skip
def test_prices_are_exact(tmp_path: Path, text: str, amount: str | None) -> None:
    if amount is None:
        assert wrong_with(tmp_path, model(f"price: {{input: {text}}}"))
        return
    price = price_of(tmp_path, f"{{input: {text}}}")
    assert price.input == Decimal(amount)
    assert str(price.input) == str(Decimal(amount).normalize())
    assert price.output is None


def test_a_price_of_more_digits_than_a_float_has_is_kept(tmp_path: Path) -> None:
    written_as = "123456.123456789"
    assert float("123456.12345678901") != Decimal(written_as)
    price = price_of(tmp_path, f"{{input: {written_as}, output: '{written_as}'}}")
    assert price.input == price.output == Decimal(written_as)
    snapshot = Snapshot.of(settings_of(tmp_path, model(f"price: {{image: {written_as}}}")))
    assert Snapshot.parse(snapshot.dump()) == snapshot
    assert b'"123456.123456789"' in snapshot.dump()


@pytest.mark.parametrize(
    "text",
    ["-1", "-0.5", "true", "free", "'1,5'", "'$1'", ".inf", ".nan", "1e999", "1e9999999", "''",
     "[1]", "1000000.5", "0.0000000001", "'٣'", "' 1'", "9" * 41],
)  # fmt: skip
def test_refused_prices(tmp_path: Path, text: str) -> None:
    (problem,) = wrong_with(tmp_path, model(f"price: {{output: {text}}}"))
    assert problem.startswith("2:69: `models.m.price.output` must ")


def test_equal_prices_are_the_same_configuration(tmp_path: Path) -> None:
    texts = [
        model(f"price: {{input: {text}}}") for text in ("2.5", "2.50", "'2.5'", "25e-1", "2.6")
    ]
    versions = [Snapshot.of(settings_of(tmp_path, text)).version for text in texts]
    assert len(set(versions[:4])) == 1
    assert versions[4] != versions[0]


@pytest.mark.parametrize("text", ["{}", "{input: null}", "{input: '${NO:-}'}"])
def test_a_price_says_something(tmp_path: Path, text: str) -> None:
    (problem,) = wrong_with(tmp_path, model(f"price: {text}"))
    assert problem.startswith("2:60: `models.m.price` must have at least one price")


def test_a_class_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    (problem,) = wrong_with(tmp_path, model("price: {cache_input: 1, input: 1}"))
    assert problem.startswith("2:61: unknown key `cache_input`; did you mean `cached_input`?")


def test_a_target_has_a_price_of_its_own(tmp_path: Path) -> None:
    text = (
        DEMO
        + """
models:
  m:
    price: {input: 1, request: 0.01}
    targets:
      - {provider: demo, model: a}
      - {provider: demo, model: b, price: {output: "${P}", reasoning: 3}}
"""
    )
    found = settings_of(tmp_path, text, {"P": "4.05"}).models["m"]
    assert found.price == Price(input=Decimal(1), request=Decimal("0.01"))
    first, second = found.targets
    assert first.price is None
    assert second.price == Price(output=Decimal("4.05"), reasoning=Decimal(3))


TARGET = "{provider: demo, model: d%s}"


def two(first: str, second: str) -> str:
    """Two models that lead to the same target."""
    return DEMO + f"models:\n  m: {first}\n  n: {second}\n"


def priced(price: str) -> str:
    return "{targets: [" + TARGET % f", price: {price}" + "]}"


def test_a_target_has_one_price_whatever_models_lead_to_it(tmp_path: Path) -> None:
    text = two(priced("{input: 2}"), f"{{price: {{input: 3}}, targets: [{TARGET % ''}]}}")
    (problem,) = wrong_with(tmp_path, text)
    assert problem.startswith("4:7: this is another price than the one at ")
    assert "config.yaml:3:44 for the same model of the same provider" in problem


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (priced("{input: 2.50, output: 1}"), priced("{output: 1, input: '2.5'}")),
        (priced("{input: 2}"), f"{{targets: [{TARGET % ''}]}}"),
        (priced("{input: 2}"), priced("{input: 3}").replace("model: d", "model: e")),
        (priced("{input: 2}"), priced("{input: 3}").replace("demo", "other")),
        (priced("{input: 2}"), priced("{input: 2}")[:-1] + ", price: {input: 3}}"),
        (priced("{input: 2, output: null}"), priced("{input: 2}")),
    ],
)
def test_prices_that_agree_or_are_of_different_targets(
    tmp_path: Path, first: str, second: str
) -> None:
    text = two(first, second).replace(DEMO, DEMO.replace("}}", "}, other: {kind: demo}}"))
    assert set(settings_of(tmp_path, text).models) == {"m", "n"}


def test_a_price_that_is_refused_is_not_compared(tmp_path: Path) -> None:
    (problem,) = wrong_with(tmp_path, two(priced("{input: 2}"), priced("{input: much}")))
    assert problem.endswith("must be a price in USD such as 2.5, 0 or more")
