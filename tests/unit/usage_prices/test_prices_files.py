"""Files of prices: which is in force, what is refused and where, and that half a file never is."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.base.jsonio import dumps, pretty
from proxy.usage.prices.catalogue import BUNDLED, Catalogue, Unreadable, text_of
from proxy.usage.prices.files import NAME, BadCatalogue, in_force, install
from proxy.usage.prices.validation import problems
from tests.unit.usage_prices import prices_catalogue

BUNDLED_VERSION = Catalogue(BUNDLED.read_bytes()).version


def test_the_bundled_catalogue_is_valid_and_has_its_licence() -> None:
    assert problems(BUNDLED.read_bytes()) == []
    licence = BUNDLED.with_name("LICENSE-genai-prices.txt").read_text()
    assert "MIT License" in licence
    assert "LICENSE-genai-prices.txt" in in_force().source


def test_a_newer_file_is_in_force_and_an_older_is_not(tmp_path: Path) -> None:
    (tmp_path / "given.json").write_bytes(pretty(prices_catalogue.body("2090-01-01")))
    new = install(tmp_path / "given.json", tmp_path / "data")
    assert in_force(tmp_path / "data").version == new.version
    (tmp_path / "given.json").write_bytes(prices_catalogue.text("2020-01-01"))
    install(tmp_path / "given.json", tmp_path / "data")
    assert in_force(tmp_path / "data").version == BUNDLED_VERSION
    assert [path.name for path in (tmp_path / "data").iterdir()] == [NAME]


def test_without_a_file_the_bundled_is_in_force(tmp_path: Path) -> None:
    assert in_force(tmp_path).version == BUNDLED_VERSION
    assert in_force().version == BUNDLED_VERSION


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"[1,2]", b"[1,3]"),
        lambda text: b"",
        lambda text: b"{}",
        lambda text: text.replace(b'"hosts"', b'"guests"'),
    ],
    ids=["torn", "changed", "empty", "no models", "no hosts"],
)
def test_a_broken_file_in_place_is_passed_over_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: Callable[[bytes], bytes]
) -> None:
    (tmp_path / NAME).write_bytes(change(prices_catalogue.text("2090-01-01")))
    with caplog.at_level(logging.WARNING):
        assert in_force(tmp_path).version == BUNDLED_VERSION
    assert "the bundled prices are used" in caplog.text


def test_a_stamped_file_with_a_broken_model_is_unreadable() -> None:
    body = prices_catalogue.body()
    body["models"]["openai"].append({"periods": []})
    with pytest.raises(Unreadable, match="broken"):
        Catalogue(text_of(prices_catalogue.stamped(body)))


def test_a_file_that_cannot_be_read_is_passed_over_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).mkdir()
    with caplog.at_level(logging.WARNING):
        assert in_force(tmp_path).version == BUNDLED_VERSION
    assert "cannot be read" in caplog.text


def test_a_refused_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(prices_catalogue.text("2090-01-01"))
    (tmp_path / "bad").write_bytes(b'{"format": 2}')
    good = install(tmp_path / "good", tmp_path / "data")
    with pytest.raises(BadCatalogue, match="format: must be 1"):
        install(tmp_path / "bad", tmp_path / "data")
    assert in_force(tmp_path / "data").version == good.version


Change = Callable[[dict[str, Any]], object]

WRONG: dict[str, Change] = {
    "format: must be 1": lambda b: b.update(format=9),
    "unit: must be": lambda b: b.update(unit="cents"),
    "columns: must be input": lambda b: b.update(columns=[]),
    "date: must be a date": lambda b: b.update(date="2030-02-31"),
    "source: must be text": lambda b: b.update(source=None),
    "models: must be an object": lambda b: b.update(models=[]),
    "hosts: must be a list": lambda b: b.update(hosts={}),
    "hosts[0]: must be": lambda b: b.update(hosts=[["nobody", "x"]]),
    "hosts[1]: '(' is no regular": lambda b: b["hosts"][1].__setitem__(1, "("),
    "fallbacks.azure": lambda b: b["fallbacks"].update(azure=["nobody"]),
    "models.azure: must be a list": lambda b: b["models"].update(azure={}),
    "models.azure[0]: must be an": lambda b: b["models"].update(azure=[{"id": 3}]),
    "`colour` is not known": lambda b: b["models"]["azure"][0].update(colour=1),
    "(own).names": lambda b: b["models"]["azure"][0].update(names=["Upper"]),
    "(own).match: must be a list": lambda b: b["models"]["azure"][0].update(match={}),
    "(own).match[0]: must be": lambda b: b["models"]["azure"][0].update(match=[["like", "a"]]),
    "(own).match[0][1]: must be": lambda b: b["models"]["azure"][0].update(match=[["or", 3]]),
    "pattern is too long": lambda b: b["models"]["azure"][0].update(match=[["regex", "x" * 999]]),
    "(own).context_window": lambda b: b["models"]["azure"][0].update(context_window=-1),
    "(own).periods: must be a list": lambda b: b["models"]["azure"][0].pop("periods"),
    "(own).periods[0]: must be an": lambda b: b["models"]["azure"][0].update(periods=[1]),
    "(own).tiers: must be": lambda b: b["models"]["azure"][0].update(tiers=[]),
    "(own).periods[0].rates: must be a list": lambda b: _period(b, rates=[]),
    "rates.input: must be null or": lambda b: _period(b, rates=[-1]),
    "rates.output: must be null or": lambda b: _period(b, rates=[1, 2.5]),
    "periods[0].from: must be": lambda b: _period(b, **{"from": "yesterday"}),
    "periods[0].hours: must be": lambda b: _period(b, hours=[0, 1440]),
    "periods[0]: `until` is not": lambda b: _period(b, until=1),
    "above[1]: must be": lambda b: _period(b, above=[[200, [1]], [100, [2]]]),
    "version: is 2030-01-01-": lambda b: _period(b, rates=[99]),
}


def _period(body: dict[str, Any], **values: object) -> None:
    body["models"]["azure"][0]["periods"][0].update(values)


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_said_with_its_place(words: str) -> None:
    body = prices_catalogue.body()
    WRONG[words](body)
    found = problems(dumps(body))
    assert found
    assert words in found[0]


def test_no_json_is_said_with_its_line() -> None:
    assert problems(b'{\n"a": }')[0].startswith("line 2, column ")
    assert problems(b"[]") == ["it must be one JSON object"]
    assert problems(b"[" * 100_000) != []


def test_the_good_catalogue_has_no_problem() -> None:
    assert problems(prices_catalogue.text()) == []
