"""The settings of alerts, and which budgets they watch."""

from pathlib import Path

import pytest

from proxy.base.secret import Secret
from proxy.build.alert_budgets import configured, stored
from proxy.config.alerts import signing_key
from proxy.config.secrets import secrets_of
from proxy.core.alerts import StoredBudgets, WatchedBudget
from proxy.core.quota import Scope
from tests.unit.alerts.alert_cases import KEY, SECRET, USD
from tests.unit.config.config_cases import settings_of, wrong_with

BASE = """
    providers: {p: {kind: demo}}
    models: {m: {targets: [{provider: p, model: m}]}}
"""
HOOK = f'{{webhook: "http://127.0.0.1:9/hook?t=1", secret: {SECRET}}}'


def test_a_webhook_and_its_defaults(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, BASE + f"    alerts: [{HOOK}]")
    [webhook] = settings.alerts
    assert webhook.on == ("budget",)
    assert signing_key(webhook.secret) == KEY
    assert {"http://127.0.0.1:9/hook?t=1", SECRET} <= secrets_of(settings)


def test_a_plain_secret_is_its_own_key() -> None:
    assert signing_key(Secret("sixteen-letters!")) == b"sixteen-letters!"
    assert signing_key(Secret(SECRET + "=")) == KEY  # Padded or not.


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{on: [outage], webhook: 'http://h/', secret: %s}", "built in this version; use budget"),
        ("{on: [degradation], webhook: 'http://h/', secret: %s}", "built in this version"),
        ("{on: [budgets], webhook: 'http://h/', secret: %s}", "did you mean `budget`?"),
        ("{on: [], webhook: 'http://h/', secret: %s}", "at least one entry"),
        ("{on: [budget, budget], webhook: 'http://h/', secret: %s}", "same entry twice"),
        ("{webhook: 'ftp://h/', secret: %s}", "must begin with http:// or https://"),
        ("{webhook: 'http://u:p@h/', secret: %s}", "must not hold a user or password"),
        ("{webhook: 'http://h/#x', secret: %s}", "must not have a fragment"),
        ("{webhook: 'http://h/', secret: short}", "16 characters or more"),
        ("{webhook: 'http://h/', secret: whsec_AAAA}", "24 to 64 bytes"),
        ("{webhook: 'http://h/', secret: 'whsec_*AAA'}", "24 to 64 bytes"),
        ("{webhook: 'http://h/'}", "secret"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, entry: str, words: str) -> None:
    text = entry.replace("%s", SECRET)
    [problem] = wrong_with(tmp_path, BASE + f"    alerts: [{text}]")
    assert words in problem
    assert SECRET not in problem


def test_no_webhook_twice(tmp_path: Path) -> None:
    [problem] = wrong_with(tmp_path, BASE + f"    alerts: [{HOOK}, {HOOK}]")
    assert "same webhook twice" in problem


def test_alerts_need_a_store(tmp_path: Path) -> None:
    [problem] = wrong_with(tmp_path, BASE + f"    store: none\n    alerts: [{HOOK}]")
    assert "`alerts` need a store" in problem


BUDGET = "{amount: 10, period: month, alerts: [80, 50]}"
EVERYWHERE = f"""
    auth: required
    providers: {{p: {{kind: demo, budgets: [{BUDGET}]}}}}
    models:
      m: {{targets: [{{provider: p, model: m}}], budgets: [{BUDGET}]}}
      "*": {{targets: [{{provider: p, model: m}}], budgets: [{BUDGET}]}}
      plain: {{targets: [{{provider: p, model: m}}]}}
    keys:
      - name: k
        key: sk-k
        budgets: [{BUDGET}, {{amount: 1, period: month, hard: false, alerts: [100]}}]
        model_limits: {{"gpt-*": {{budgets: [{BUDGET}]}}}}
    jwt: [{{issuer: "https://idp.example/x", audience: [a], grants: {{budgets: [{BUDGET}]}}}}]
    teams: {{search: {{budgets: [{BUDGET}]}}, quiet: {{}}}}
    customers: {{"*": {{budgets: [{{amount: 5, period: day, zone: Asia/Kolkata, alerts: [1]}}]}}}}
    global: {{budgets: [{{amount: 5, period: total}}]}}
"""


def test_every_budget_with_alerts_is_watched(tmp_path: Path) -> None:
    budgets, entries = configured(settings_of(tmp_path, EVERYWHERE))
    found = {(each.scope, each.rule): each for each in budgets}
    assert len(found) == len(budgets)
    month = "budget per month"
    assert set(found) == {
        (Scope("provider", "p"), month),
        (Scope("model", "m"), month),
        (Scope("model", "*"), month),
        (Scope("key", "k"), month),
        (Scope("key", "k"), "soft budget per month"),
        (Scope("key_model", "k/gpt-*"), month),
        (Scope("key", "*"), month),
        (Scope("team", "search"), month),
        (Scope("customer", "*"), "budget per day"),
    }
    assert found[Scope("team", "search"), month] == WatchedBudget(
        *(Scope("team", "search"), month, 10 * USD, "month", "UTC"), hard=True, percents=(50, 80)
    )
    assert found[Scope("key", "*"), month].each == "@idp.example/x"
    assert found[Scope("customer", "*"), "budget per day"].each == ""
    assert found[Scope("customer", "*"), "budget per day"].zone == "Asia/Kolkata"
    assert found[Scope("model", "*"), month].each is None
    assert found[Scope("key_model", "k/gpt-*"), month].of_key == ("k", "gpt-*")
    assert entries >= {Scope("team", "quiet"), Scope("global", ""), Scope("customer", "*")}
    assert Scope("model", "plain") not in entries


def test_documents_of_the_store_are_watched_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    budget = {"amount": "10", "period": "month", "alerts": [50]}
    key = {"name": "k", "budgets": [budget], "model_limits": {"m*": {"budgets": [budget]}}}
    found = stored(
        StoredBudgets(
            1,
            (key, {"name": "bad", "budgets": "?"}),
            (
                (Scope("team", "t"), {"budgets": [budget]}),
                (Scope("user", "*"), {"budgets": [budget]}),
                (Scope("user", "bad"), {"unknown": 1}),
            ),
        )
    )
    assert [(each.scope, each.each, each.of_key) for each in found] == [
        (Scope("key", "k"), None, None),
        (Scope("key_model", "k/m*"), None, ("k", "m*")),
        (Scope("team", "t"), None, None),
        (Scope("user", "*"), "", None),
    ]
    assert len(caplog.records) == 2
