"""`prices show` and `prices update`, by what they print, write and return."""

from pathlib import Path

import pytest

from proxy.base.jsonio import dumps, loads
from proxy.cli.prices import show, update
from proxy.usage.prices.files import NAME, in_force
from tests.unit.usage_prices import prices_catalogue


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / NAME).write_bytes(prices_catalogue.text("2090-01-01"))
    return tmp_path


def _lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_model_is_shown_with_all_its_prices(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show("night-2026-01-31", "deepseek", "table", data_dir) == 0
    head, *rows = _lines(capsys)
    assert head[:7] == ["PROVIDER", "MODEL", "CONTEXT", "TIER", "VALID", "ABOVE", "INPUT"]
    table = [row for row in rows if row[:1] == ["deepseek"]]
    assert table[0] == ["deepseek", "night", "64", "-", "-", "-", "0.00000002", "-", "-", "-"]
    assert table[1][4:6] == ["from", "2026-01-01"]
    assert table[2][4:6] == ["23:00-01:00", "UTC"]
    assert table[4][3:7] == ["batch", "-", "100", "0.000000013"]


def test_json_has_every_class_with_its_unit(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show("gpt-4o", "openai", "json") == 0
    found = loads(capsys.readouterr().out)
    assert found["version"] == in_force().version
    assert found["prices"][0]["usd"]["input"] == {"price": "2.5", "per": "million tokens"}
    assert found["prices"][0]["usd"]["search"] == {"price": "0.01", "per": "each"}


def test_all_models_of_all_vendors_are_shown(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(None, None, "json", data_dir) == 0
    found = loads(capsys.readouterr().out)
    shown = {row["model"] for row in found["prices"]}
    assert {"one", "Two", "night", "meta/llama"} <= shown
    assert "unpriced" not in shown


@pytest.mark.parametrize(
    ("model", "provider", "words"),
    [
        ("cheap-not", "azure", "no price of `cheap-not`"),
        ("ar", "openai", "near it are openai: early"),
        ("unpriced", None, "no price of `unpriced`"),
        ("one", "nobody", "no prices of `nobody`; there are those of aws, azure"),
    ],
)
def test_what_is_not_known_is_said(
    data_dir: Path,
    capsys: pytest.CaptureFixture[str],
    model: str,
    provider: str | None,
    words: str,
) -> None:
    assert show(model, provider, "table", data_dir) == 1
    assert words in capsys.readouterr().err


def test_an_update_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.json").write_bytes(prices_catalogue.text("2090-01-01"))
    assert update(tmp_path / "new.json", tmp_path / "data") == 0
    assert "2090-01-01-" in capsys.readouterr().out
    assert in_force(tmp_path / "data").date == "2090-01-01"


def test_an_update_that_is_older_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.json").write_bytes(prices_catalogue.text("2020-01-01"))
    assert update(tmp_path / "old.json", tmp_path / "data") == 0
    assert f"stay in use: {in_force().version}" in capsys.readouterr().out


def test_an_update_that_is_wrong_is_refused_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = prices_catalogue.body()
    body["models"]["azure"][0]["periods"][0]["rates"] = ["cheap"]
    (tmp_path / "bad.json").write_bytes(dumps(body))
    assert update(tmp_path / "bad.json", tmp_path / "data") == 2
    said = capsys.readouterr().err
    assert "bad.json: models.azure[0] (own).periods[0].rates.input: must be" in said
    assert not (tmp_path / "data").exists()


def test_an_update_that_cannot_be_read_or_written_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert update(tmp_path / "none.json", tmp_path / "data") == 1
    (tmp_path / "new.json").write_bytes(prices_catalogue.text())
    (tmp_path / "file").write_text("")
    assert update(tmp_path / "new.json", tmp_path / "file") == 1
    assert capsys.readouterr().err.count("llm-proxy: ") == 2
