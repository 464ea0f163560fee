"""A request explained: what is told is what a worker does with it, from the key to the body."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from proxy.base.jsonio import dumps
from proxy.build.configuration import load
from proxy.build.explain import Asked, Explainer, configured_caller
from proxy.config.settings import Settings

TEXT = """
keys:
  - name: ada
    key: sk-ada-0123456789
    team: web
    tier: gold
    models: [auto, big, small, secret]
    limits: {rpm: 7, tokens_per_request: 1000}
    budgets: [{amount: 0.01, period: day}, {amount: 5, period: month, hard: false}]
  - {name: late, key: sk-late-0123456789, expires: 2020-01-01}
  - {name: near, key: sk-near-0123456789, ips: [10.0.0.0/8]}
providers:
  demo: {kind: demo, limits: {rpm: 100}}
  dear: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_keys: [sk-vendor-0123456789]}
  house: {kind: openai, base_url: "http://127.0.0.1:9/v1", residency: local}
models:
  small: {targets: [{provider: demo, model: demo-1}]}
  secret: {access: restricted, targets: [{provider: demo, model: demo-1}]}
  big:
    strategy: cost
    parameters: {default: {temperature: 0.2}, limit: {max_tokens: 100}}
    price: {input: 1, output: 2}
    retry: {attempts: 2}
    fallback: {models: [small]}
    targets:
      - {provider: dear, model: gpt-4o, price: {input: 10, output: 20}}
      - {provider: house, model: llama}
      - {provider: house, model: tiny, context_window: 8}
rules:
  - {name: code, priority: 5, when: {model: [auto], contains_code: true}, use: small}
  - name: gold
    when: {model: [auto], user_tier: [gold]}
    use: big
    parameters: {force: {seed: 1}}
  - {name: rest, when: {model: [auto]}, use: small}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(f"data_dir: {tmp_path}\n{TEXT}", encoding="utf-8")
    return load(file).settings


def explained(
    settings: Settings,
    body: object,
    key: str = "ada",
    standings: Any = (),
    **headers: str,
) -> dict[str, Any]:
    explainer = Explainer(settings, standings)
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    raw = body if isinstance(body, bytes) else dumps(body)
    try:
        who = configured_caller(settings, key)
        assert who is not None
        return asyncio.run(explainer.explain(Asked(raw, fields=fields), who))
    finally:
        explainer.close()


def chat(model: str = "auto", text: str = "Tell me a story", **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def test_all_of_a_decision_is_told(settings: Settings) -> None:
    told = explained(settings, chat(max_tokens=500))
    assert told["refusal"] is None
    assert {each["verdict"] for each in told["steps"]} == {"passes"}
    assert (told["caller"]["key"], told["caller"]["tier"]) == ("ada", "gold")
    code, gold, rest = told["rules"]
    assert [each["held"] for each in told["rules"]] == [False, True, None]
    assert code["conditions"][1] == {
        "name": "contains_code", "wanted": True, "found": False, "held": False
    }  # fmt: skip
    assert gold["conditions"][1]["found"] == "gold"
    assert rest["conditions"][0]["held"] is None
    assert (told["decision"]["rule"], told["decision"]["use"]) == ("gold", "big")
    assert (told["model"]["asked"], told["model"]["meant"]) == ("auto", "big")
    assert [(each["provider"], each["model"]) for each in told["targets"]] == [
        ("house", "llama"), ("dear", "gpt-4o"), ("demo", "demo-1")
    ]  # fmt: skip
    (dropped,) = told["dropped"]
    assert (dropped["model"], dropped["cause"]) == ("tiny", "window")
    big, small = told["policies"]
    assert (big["strategy"], big["retry"]["attempts"]) == ("cost", 2)
    assert (small["model"], small["strategy"]) == ("small", "weighted")


def test_what_is_held_and_set_is_what_an_attempt_holds_and_sets(settings: Settings) -> None:
    first, second, last = explained(settings, chat(max_tokens=500))["targets"]
    assert first["parameters"] == {"temperature": 0.2, "max_tokens": 100, "seed": 1}
    # 100 tokens of output at 2 USD a million, and a token for each byte that is sent, at most.
    assert 0.0002 < float(first["held_usd"]) < 0.0005
    assert float(second["held_usd"]) == pytest.approx(10 * float(first["held_usd"]))
    assert last["parameters"] == {"seed": 1}  # The parameters of `big` are not those of `small`.
    assert last["held_usd"] == "0.00"


def test_a_target_that_no_budget_can_pay_is_told(settings: Settings) -> None:
    first, second, _ = explained(settings, chat("big", n=6, max_tokens=100))["targets"]
    assert first["refused"] is None
    assert second["refused"]["code"] == "insufficient_quota"


def test_walls_of_the_key_and_of_the_providers_are_told(settings: Settings) -> None:
    walls = explained(settings, chat())["walls"]
    assert [(each["scope"], each["name"], each["limit"]) for each in walls["limits"]] == [
        ("key `ada`", "rpm", 7), ("provider `demo`", "rpm", 100)
    ]  # fmt: skip
    assert [(each["usd"], each["hard"]) for each in walls["budgets"]] == [
        ("0.01", True), ("5.00", False)
    ]  # fmt: skip
    assert walls["tokens_per_request"] == {"scope": "key `ada`", "limit": 1000}


@pytest.mark.parametrize(
    ("body", "key", "step", "status", "code"),
    [
        (b"{", "ada", "body", 400, None),
        (chat("nothing"), "ada", "rules", 404, "model_not_found"),
        (chat("secret"), "ada", "access", 403, "key_model_access_denied"),
        (chat("small"), "late", "auth", 401, "expired_key"),
        (chat(text="word " * 2000), "ada", "limits", 429, "rate_limit_exceeded"),
        (chat(metadata={"provider": "none"}), "ada", "plan", 400, "no_target_meets_request"),
    ],
)
def test_a_refusal_is_told_where_it_comes(
    settings: Settings, body: object, key: str, step: str, status: int, code: str | None
) -> None:
    told = explained(settings, body, key)
    assert (told["refusal"]["step"], told["refusal"]["status"]) == (step, status)
    if code is not None:
        assert told["refusal"]["code"] == code
    after = [each["verdict"] for each in told["steps"]]
    place = after.index("refuses")
    assert set(after[:place]) == {"passes"}
    assert set(after[place + 1 :]) <= {"not reached"}


def test_why_no_target_is_left_is_told_of_each(settings: Settings) -> None:
    told = explained(settings, chat("big"), x_llm_proxy_residency="local", x_llm_proxy_tier="2")
    assert {each["cause"] for each in told["dropped"]} == {"residency", "tier"}
    assert len(told["dropped"]) == 4
    assert told["targets"] == []


def test_a_key_for_some_addresses_is_explained_without_one(settings: Settings) -> None:
    assert explained(settings, chat("small"), "near")["refusal"] is None


def test_credentials_of_the_question_are_not_used(settings: Settings) -> None:
    told = explained(settings, chat("small"), authorization="Bearer sk-late-0123456789")
    assert told["caller"]["key"] == "ada"


def test_targets_are_as_their_workers_say(settings: Settings) -> None:
    def standing(provider: str, model: str, status: str, **more: object) -> dict[str, object]:
        return {
            "route": "big", "provider": provider, "model": model, "status": status,
            "mode": "auto", "why": "an operator has disabled the provider", "latency": None,
            "fault": "timeout", "left": 9.0, **more,
        }  # fmt: skip

    well = standing("house", "llama", "closed", latency=0.25)
    told = explained(settings, chat("big"), standings=[[well]])
    assert told["targets"][0]["latency"] == 0.25
    told = explained(
        settings, chat("big"), standings=[[standing("house", "llama", "open")], [well]]
    )
    (dropped,) = [each for each in told["dropped"] if each["model"] == "llama"]
    assert dropped["cause"] == "breaker"
    assert re.fullmatch(r"its breaker is open for [\d.]+ s \(timeout\)", dropped["reason"])
    told = explained(settings, chat("big"), standings=[[standing("dear", "gpt-4o", "off")]])
    (dropped,) = [each for each in told["dropped"] if each["model"] == "gpt-4o"]
    assert (dropped["cause"], dropped["reason"]) == ("off", "an operator has disabled the provider")


def test_no_secret_and_no_host_is_told(settings: Settings) -> None:
    text = dumps(explained(settings, chat())).decode()
    for secret in ("sk-", "127.0.0.1", "Bearer"):
        assert secret not in text
