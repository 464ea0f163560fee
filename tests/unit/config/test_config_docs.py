"""The reference, the example and the settings say the same; importing costs little."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from proxy.config.accounting import Admin, Metrics, Otlp, Spool
from proxy.config.agents import Agent
from proxy.config.callers import CallerKey, Claims, Jwt
from proxy.config.limits import Budget, Limits, Rollover, StoreFailure
from proxy.config.load import load
from proxy.config.parameters import Parameters
from proxy.config.planned import PLANNED, PLANNED_KINDS
from proxy.config.providers import ApiKey, Probe, Provider
from proxy.config.routing import Breaker, Fallback, Hedge, Retry, Score
from proxy.config.rules import ContentTokens, Rule
from proxy.config.schema import key_paths, keys_of
from proxy.config.settings import Model, Settings, Target, Telemetry
from proxy.config.values import seconds, size

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "docs" / "configuration.md"
EXAMPLE = ROOT / "config.example.yaml"
PATHS = sorted(key_paths(keys_of(Settings)))
# What is written alike in many places has its rows once, and one row at each of these places.
ALIKE = re.compile(
    r"(models\.<name>\.targets\[\]\.price|jwt\[\]\.grants|keys\[\]\.model_limits\.<name>"
    r"|(?:teams|users|projects|customers|sessions|tags)\.<name>|global"
    r"|agents\.<name>(?=\.(?:limits|budgets))|(?:agents\.<name>|rules\[\])\.parameters"
    r"|(?:keys\[\]|models\.<name>|providers\.<name>)\.(?:limits|budgets))(?:\[\])?\..*"
)
ROW = re.compile(r"^\| `([^`]+)` \| .* \| (.*?) \| ", re.MULTILINE)


def in_reference(path: str) -> str:
    """The row of a key."""
    match = ALIKE.fullmatch(path)
    return match[1] if match else path


def test_every_setting_is_in_the_reference_and_no_other() -> None:
    documented = [match[1] for match in ROW.finditer(REFERENCE.read_text(encoding="utf-8"))]
    expected = {in_reference(path) for path in PATHS} | {"include", "environments"}
    expected |= set(key_paths(keys_of(Limits), "limits"))
    expected |= set(key_paths(keys_of(Budget), "budgets[]"))
    assert sorted(documented) == sorted(expected)


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("models.<name>.targets[].price.input", "models.<name>.targets[].price"),
        ("models.<name>.price.input", "models.<name>.price.input"),
        ("models.<name>.limits.rpm", "models.<name>.limits"),
        ("keys[].budgets[].rollover.fraction", "keys[].budgets"),
        ("keys[].model_limits.<name>.limits.rpm", "keys[].model_limits.<name>"),
        ("teams.<name>.budgets[].zone", "teams.<name>"),
        ("global.limits.rpm", "global"),
        ("agents.<name>.limits.rpm", "agents.<name>"),
        ("agents.<name>.model", "agents.<name>.model"),
        ("agents.<name>.parameters.force", "agents.<name>.parameters"),
        ("rules[].parameters.default", "rules[].parameters"),
        ("rules[].when.content_tokens.min", "rules[].when.content_tokens.min"),
        ("models.<name>.parameters.default", "models.<name>.parameters.default"),
        ("jwt[].grants.limits.rpm", "jwt[].grants"),
        ("jwt[].claims.team", "jwt[].claims.team"),
        ("store_failure.limits", "store_failure.limits"),
    ],
)
def test_rows_that_stand_for_several_keys(path: str, row: str) -> None:
    assert path in PATHS
    assert in_reference(path) == row


def test_the_paths_are_those_of_the_settings() -> None:
    assert "models.<name>.targets[].weight" in PATHS
    assert "providers.<name>.timeouts.first_token" in PATHS
    assert "keys[].models" in PATHS
    assert not [path for path in PATHS if "off_reason" in path]


@pytest.mark.parametrize(
    ("path", "section", "field"),
    [
        ("listen", Settings, "listen"),
        ("workers", Settings, "workers"),
        ("auth", Settings, "auth"),
        ("providers.<name>.base_url", Provider(kind="openai"), "base_url"),
        ("providers.<name>.enabled", Provider(kind="openai"), "enabled"),
        ("models.<name>.targets[].weight", Target, "weight"),
        ("models.<name>.strategy", Model, "strategy"),
        ("providers.<name>.api_keys[].weight", ApiKey, "weight"),
        ("providers.<name>.queue", Provider, "queue"),
        ("providers.<name>.residency", Provider, "residency"),
        ("providers.<name>.health.probe", Probe, "probe"),
        ("providers.<name>.health.daily_cost", Probe, "daily_cost"),
        ("models.<name>.targets[].tier", Target, "tier"),
        ("models.<name>.status", Model, "status"),
        ("models.<name>.score.cost", Score, "cost"),
        ("models.<name>.retry.attempts", Retry, "attempts"),
        ("models.<name>.fallback.on", Fallback, "on"),
        ("models.<name>.fallback.max_attempts", Fallback, "max_attempts"),
        ("models.<name>.hedge.share", Hedge, "share"),
        ("models.<name>.breaker.failures", Breaker, "failures"),
        ("models.<name>.breaker.probes", Breaker, "probes"),
        ("models.<name>.breaker.bypass", Breaker, "bypass"),
        ("models.<name>.parameters.unsupported", Parameters, "unsupported"),
        ("rules[].priority", Rule, "priority"),
        ("rules[].when.content_tokens.min", ContentTokens, "min"),
        ("rules[].active", Rule, "active"),
        ("agents.<name>.context", Agent, "context"),
        ("keys[].models", CallerKey, "models"),
        ("keys[].blocked", CallerKey, "blocked"),
        ("keys[].clearance", CallerKey, "clearance"),
        ("jwt[].algorithms", Jwt, "algorithms"),
        ("jwt[].claims.name", Claims, "name"),
        ("jwt[].claims.user", Claims, "user"),
        ("models.<name>.access", Model, "access"),
        ("budgets[].zone", Budget, "zone"),
        ("budgets[].hard", Budget, "hard"),
        ("budgets[].rollover.expires", Rollover, "expires"),
        ("max_queue", Settings, "max_queue"),
        ("budget_status", Settings, "budget_status"),
        ("store_failure.limits", StoreFailure, "limits"),
        ("store_failure.budgets", StoreFailure, "budgets"),
        ("store_failure.cache", StoreFailure, "cache"),
        ("store", Settings, "store"),
        ("admin.listen", Admin, "listen"),
        ("spool.failure", Spool, "failure"),
        ("telemetry.content", Telemetry, "content"),
        ("telemetry.otlp.protocol", Otlp, "protocol"),
        ("telemetry.otlp.sample", Otlp, "sample"),
        ("telemetry.otlp.names", Otlp, "names"),
        ("telemetry.metrics.labels", Metrics, "labels"),
    ],
)
def test_documented_defaults_are_true(
    path: str, section: type[BaseModel] | BaseModel, field: str
) -> None:
    rows = {match[1]: match[2] for match in ROW.finditer(REFERENCE.read_text(encoding="utf-8"))}
    if isinstance(section, BaseModel):
        value = getattr(section, field)
    else:
        value = section.model_fields[field].default
    shown = str(value)
    if isinstance(value, bool):
        shown = str(value).lower()
    elif isinstance(value, tuple):
        shown = "[" + ", ".join(f'"{item}"' for item in value) + "]"
    elif isinstance(value, float):
        shown = f"{value:g}"
    assert rows[path] == f"`{shown}`"


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("spool.sync", Spool().sync),
        ("spool.age", Spool().age),
        ("telemetry.retention", Telemetry().retention),
        ("drain", Settings().drain),
        ("providers.<name>.health.every", Probe().every),
        ("models.<name>.retry.initial", Retry().initial),
        ("models.<name>.retry.max", Retry().max),
        ("models.<name>.fallback.total", Fallback().total),
        ("models.<name>.breaker.recovery", Breaker().recovery),
        ("jwt[].leeway", Jwt.model_fields["leeway"].default),
    ],
)
def test_documented_durations_are_true(path: str, default: float) -> None:
    rows = {match[1]: match[2] for match in ROW.finditer(REFERENCE.read_text(encoding="utf-8"))}
    assert seconds(rows[path].strip("`")) == default


def test_the_documented_folder_and_size_are_true() -> None:
    rows = {match[1]: match[2] for match in ROW.finditer(REFERENCE.read_text(encoding="utf-8"))}
    assert Path(rows["data_dir"].strip("`")) == Settings().data_dir
    assert size(rows["spool.segment"].strip("`")) == Spool().segment


def test_every_planned_key_is_listed_and_no_other() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    section = text[text.index("## Not built in this version") :]
    listed = dict(re.findall(r"^- `([^`]+)`: (.+)$", section, re.MULTILINE))
    assert listed == PLANNED
    for name in PLANNED_KINDS:
        assert f"`{name}`" in section


def test_the_example_runs_as_it_is() -> None:
    settings = load(EXAMPLE, env={}).settings
    assert str(settings.listen) == "127.0.0.1:8080"
    assert [(key.name, key.key.reveal()) for key in settings.keys] == [("demo", "sk-demo")]
    assert settings.providers["demo"].off_reason is None
    assert settings.providers["openai"].off_reason == "api_keys is empty (is OPENAI_API_KEY set?)"
    assert {name: model.targets[0].provider for name, model in settings.models.items()} == {
        "chat-small": "demo", "chat-large": "demo", "openai/*": "openai", "*": "openai",
    }  # fmt: skip
    assert settings.passthrough is not None
    assert settings.passthrough.provider == "openai"
    assert settings.models["chat-large"].fallback.models == ("chat-small",)
    assert [(rule.when.model, rule.use) for rule in settings.rules] == [
        (("auto",), "chat-large"), (("auto",), "chat-small"),
    ]  # fmt: skip


def test_the_example_serves_openai_when_the_key_is_set() -> None:
    provider = load(EXAMPLE, env={"OPENAI_API_KEY": "sk-x"}).settings.providers["openai"]
    assert provider.off_reason is None
    assert [each.key.reveal() for each in provider.api_keys] == ["sk-x"]


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 60


def test_every_option_that_is_commented_out_is_true(tmp_path: Path) -> None:
    """Without its comment signs (but for prose) the example loads, in its environment too."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    start = lines.index("")
    option = re.compile(r"^(\s*)# (?=\s*(- |[a-z_]+:))")
    text = "\n".join(option.sub(r"\1", line) for line in lines[start:])
    assert text.count("\n#") == 0
    path = tmp_path / "config.yaml"
    path.write_text(text)
    (tmp_path / "more.yaml").write_text("")
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_text("x")
    snapshot = load(path, env={"BATCH_KEY": "sk-b"}, environment="production")
    settings = snapshot.settings
    assert (settings.auth, settings.workers, len(settings.keys)) == ("none", "auto", 2)
    assert str(settings.listen) == "0.0.0.0:8080"
    assert settings.providers["vllm"].base_url == "http://127.0.0.1:8000/v1"
    assert len(settings.models["chat-large"].targets) == 2
    assert settings.tls.key is not None
    # What is shown as a default is the default.
    assert settings.max_body == Settings().max_body
    assert settings.drain == Settings().drain
    assert settings.spool == Settings().spool
    assert settings.admin == Settings().admin
    assert settings.store == Settings().store
    assert settings.data_dir == tmp_path / Settings().data_dir
    shown = settings.telemetry.model_copy(update={"otlp": Settings().telemetry.otlp})
    assert shown == Settings().telemetry
    assert settings.telemetry.otlp.endpoint == "http://127.0.0.1:4318"
    assert settings.models["chat-large"].price is not None
    assert settings.keys[1].team == "research"
    assert settings.providers["openai"].timeouts == Provider(kind="openai").timeouts
    assert settings.providers["openai"].pool == Provider(kind="openai").pool


def test_importing_costs_little_and_does_not_pull_in_the_watcher() -> None:
    """Told by what is loaded, which is the same on every machine."""
    code = """
import pydantic, yaml, sys
before = set(sys.modules)
import proxy.config.load
new = set(sys.modules) - before
loaded = [n for n in ("watchfiles", "anyio", "aiohttp", "asyncio") if n in new]
print(len(new), loaded)
"""
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    count, _, loaded = told.partition(" ")
    assert loaded.strip() == "[]"
    assert int(count) < 230
