"""`llm-proxy explain --replay`: recorded requests by other rules, with a real PostgreSQL."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.base.clock import wall
from proxy.base.jsonio import loads
from proxy.build.configuration import load
from proxy.cli.main import main
from proxy.wire.record import Usage, UsageRecord
from tests.fakes.postgres import postgres, postgres_server
from tests.unit.stores.records import record
from tests.unit.usage_report.books import keep

__all__ = ["postgres", "postgres_server"]

NOW = """
auth: none
store: {store}
data_dir: {folder}
providers: {{demo: {{kind: demo}}, dear: {{kind: openai, base_url: "http://127.0.0.1:9/v1"}}}}
models:
  small: {{price: {{input: 1, output: 2}}, targets: [{{provider: dear, model: s}}]}}
  big: {{price: {{input: 10, output: 20}}, targets: [{{provider: dear, model: b}}]}}
rules:
  - {{name: code, priority: 9, when: {{model: [auto], contains_code: true}}, use: big}}
  - {{name: rest, when: {{model: [auto]}}, use: big}}
"""
USED = Usage(input=1000, output=100)
BIG, SMALL = 12_000_000, 1_200_000  # Nano-USD of that.


@pytest.fixture
def config(postgres: str, tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(NOW.format(store=f'"{postgres}"', folder=tmp_path))
    return file


def other(config: Path, *changes: tuple[str, str]) -> str:
    text = config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = config.with_name("other.yaml")
    file.write_text(text)
    return str(file)


def recorded(file: Path, number: int, **changes: Any) -> UsageRecord:
    fields: dict[str, Any] = {
        "at": int((wall() - 60) * 1_000_000), "model": "auto", "route": "big", "rule": "rest",
        "config": load(file).version, "usage": USED, "cost": BIG, "key": "", "unpriced": False,
        "attempts": (),
    }  # fmt: skip
    return record(number, **fields | changes)


def replayed(
    capsys: pytest.CaptureFixture[str], config: Path, *words: str, json: bool = True
) -> Any:
    shape = ("--json",) if json else ()
    code = main(("explain", "--replay", "24h", "--config", str(config), *words, *shape))
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    return loads(said.out) if json else said.out


def test_the_rules_of_today_move_nothing(
    config: Path, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    books = [recorded(config, n) for n in range(3)]
    books.append(recorded(config, 3, operation="passthrough", model=None, route=None, rule=None))
    books.append(recorded(config, 4, at=int((wall() - 90_000) * 1_000_000)))  # Too old.
    asyncio.run(keep(postgres, books))
    told = replayed(capsys, config)
    assert (told["requests"], told["without_model"], told["moved"]) == (3, 1, 0)
    assert told["rules"] == [{"rule": "rest", "before": 3, "after": 3}]
    assert told["difference_usd"] == "0.00"
    assert told["not_recorded"] == []  # The record says which rule took it: `code` did not hold.


def test_a_changed_rule_moves_them_and_says_what_that_saves(
    config: Path, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    books = [recorded(config, n, team="web" if n < 2 else "lab") for n in range(5)]
    asyncio.run(keep(postgres, books))
    changed = other(
        config, ("{name: rest,", "{name: web, when: {team: [web]}, use: small}\n  - {name: rest,")
    )
    told = replayed(capsys, config, "--with", changed)
    assert told["moves"] == [
        {"from": "big", "to": "small", "requests": 2, "before_usd": "0.024",
         "after_usd": "0.0024", "unpriced": 0}
    ]  # fmt: skip
    assert (told["before_usd"], told["after_usd"]) == ("0.06", "0.0384")
    assert told["difference_usd"] == "-0.0216"
    assert {"rule": "web", "before": 0, "after": 2} in told["rules"]
    text = replayed(capsys, config, "--with", changed, json=False)
    assert "5 requests since" in text and "2 of them moved" in text
    assert "  big → small: 2, 0.024 USD → 0.0024 USD" in text
    assert "difference -0.0216" in text


def test_what_was_said_is_not_recorded_and_counted_as_such(
    config: Path, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    books = [recorded(config, 1), recorded(config, 2, config="older")]
    asyncio.run(keep(postgres, books))
    told = replayed(capsys, config)
    assert told["not_recorded"] == [
        {"rule": "code", "conditions": ["contains_code"], "requests": 1}
    ]
    changed = other(config, ("contains_code: true", "contains_math: true"))
    told = replayed(capsys, config, "--with", changed)
    assert told["not_recorded"][0]["requests"] == 2
    assert told["moved"] == 0
    text = replayed(capsys, config, "--with", changed, json=False)
    assert "  code (contains_math): 2" in text


def test_what_nobody_would_take_is_refused(
    config: Path, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(
        keep(postgres, [recorded(config, 1), recorded(config, 2, cost=None, unpriced=True)])
    )
    changed = other(config, ("model: [auto]}, use: big}\n", "model: [none]}, use: big}\n"))
    told = replayed(capsys, config, "--with", changed)
    assert (told["moves"][0]["from"], told["moves"][0]["to"]) == ("big", None)
    assert (told["moves"][0]["requests"], told["unpriced"]) == (2, 1)


def test_a_store_that_is_away_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = config.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("store:")]
    config.write_text("\n".join([*lines, "store: none", ""]))
    assert main(("explain", "--replay", "24h", "--config", str(config))) == 1
    assert "keeps no usage records" in capsys.readouterr().err
