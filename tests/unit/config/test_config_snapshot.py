"""Snapshots: what is dumped for a worker is what the worker has."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.base.secret import Secret
from proxy.config.accounting import Admin, Metrics, Otlp, Price, Spool
from proxy.config.addresses import Address
from proxy.config.agents import Agent
from proxy.config.callers import OPERATIONS, Authorized, CallerKey, Claims, Jwt, Rights
from proxy.config.limits import Budget, Limits, Rollover, StoreFailure, Walls
from proxy.config.load import load
from proxy.config.parameters import Changes, Parameters
from proxy.config.providers import (
    ApiKey,
    Probe,
    Provider,
    ProviderPool,
    ProviderTimeouts,
    ProviderTls,
)
from proxy.config.routing import Breaker, Fallback, Hedge, Retry, Score
from proxy.config.rules import ContentTokens, Rule, When
from proxy.config.settings import (
    Log,
    Model,
    Passthrough,
    Proxies,
    Settings,
    Target,
    Telemetry,
    TlsFiles,
)
from proxy.config.snapshot import Snapshot
from tests.examples import examples
from tests.unit.config.config_cases import settings_of

names = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="*")
).filter(lambda text: bool(text.strip()) and text.isprintable() and text == text.strip())
visible = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
secrets = visible.map(Secret)
durations = st.floats(min_value=0, max_value=366 * 86400.0)
positive = st.floats(min_value=1e-9, max_value=366 * 86400.0)
files = st.none() | visible.map(Path)
tokens = st.text("abcXYZ019!#$-", min_size=1).map(lambda text: "x" + text)
amounts = st.decimals(min_value=0, max_value=1_000_000, places=9) | st.integers(0, 10**6).map(
    Decimal
)
prices = st.builds(Price, input=amounts, output=amounts, image=st.none() | amounts)
labels = st.text("abcÄ .-/", min_size=1, max_size=9).map(lambda text: f"x{text}x")
subsets = st.lists(st.sampled_from(["model", "provider", "key", "team"]), unique=True).map(tuple)
telemetries = st.builds(
    Telemetry,
    log=st.builds(Log, level=st.sampled_from(["debug", "error"])),
    content=st.sampled_from(["none", "metadata"]),
    retention=st.floats(min_value=86400.0, max_value=3660 * 86400.0),
    otlp=st.builds(
        Otlp,
        endpoint=st.none() | st.sampled_from(["https://c:4318", "http://[::1]:4317/otel"]),
        protocol=st.sampled_from(["http/protobuf", "grpc"]),
        sample=st.floats(0, 1),
        names=st.sampled_from([("gen_ai",), ("openinference", "gen_ai")]),
        headers=st.dictionaries(tokens.map(str.lower), secrets, max_size=2),
    ),
    metrics=st.builds(Metrics, labels=subsets),
)
spools = st.builds(
    Spool,
    failure=st.sampled_from(["refuse", "continue"]),
    sync=st.floats(0.01, 60),
    segment=st.integers(4096, 1024**4),
    age=st.floats(0.01, 3600),
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
said = st.just({"temperature": 0.5}) | st.dictionaries(
    st.sampled_from(["stop", "seed", "x_own"]), json_values.filter(lambda each: each is not None)
)
changes = st.builds(Changes, default=said, limit=st.just({"max_tokens": 9}))
capabilities = st.sampled_from([(), ("chat", "tools"), ("prefill",)])
addresses = st.builds(Address, st.sampled_from(["127.0.0.1", "::1", "host"]), st.integers(0, 65535))
providers = st.builds(
    Provider,
    kind=st.sampled_from(["openai", "demo"]),
    base_url=st.sampled_from(["https://a/v1", "http://[::1]:80"]),
    api_keys=st.lists(st.builds(ApiKey, key=secrets, weight=positive), max_size=3).map(tuple),
    health=st.builds(Probe, probe=st.sampled_from(["none", "completion"]), daily_cost=amounts),
    queue=st.integers(0, 100_000),
    region=st.none() | labels,
    residency=st.sampled_from(["cloud", "local"]),
    headers=st.dictionaries(tokens.map(str.lower), secrets, max_size=3),
    timeouts=st.builds(
        ProviderTimeouts, connect=positive, first_token=positive, idle=positive, total=positive
    ),
    pool=st.builds(
        ProviderPool, max_connections=st.integers(min_value=1, max_value=10**9), keepalive=durations
    ),
    tls=st.builds(ProviderTls, ca=files),
    enabled=st.booleans(),
    delay=durations,
)
targets = st.builds(
    Target,
    provider=names,
    model=names,
    weight=st.floats(min_value=0, allow_infinity=False),
    price=st.none() | prices,
    tier=st.integers(1, 9),
    quality=st.none() | st.floats(0, 1),
    capabilities=st.none() | capabilities,
    context_window=st.none() | st.integers(1, 10**9),
)
levels = st.sampled_from(["public", "internal", "confidential", "restricted", "classified"])
lists = st.lists(labels, max_size=2, unique=True).map(tuple)
limits = st.builds(
    Limits, rpm=st.none() | st.integers(0, 10**12), concurrency=st.none() | st.integers(0, 10**12)
)
budgets = st.lists(
    st.builds(
        Budget,
        amount=amounts.filter(bool),
        period=st.sampled_from(["day", "week", "month"]),
        zone=st.sampled_from(["UTC", "Europe/Berlin"]),
        hard=st.booleans(),
        alerts=st.lists(st.integers(1, 1000), max_size=3, unique=True).map(tuple),
        rollover=st.none()
        | st.builds(Rollover, fraction=st.floats(0, 1), expires=st.integers(1, 12)),
    ),
    max_size=3,
    unique_by=lambda budget: (budget.period, budget.hard),
).map(tuple)
walls = st.builds(Walls, limits=limits, budgets=budgets)
scopes = st.dictionaries(names, walls, max_size=2)
named = st.lists(names, max_size=2, unique=True).map(tuple)
rules = st.builds(
    Rule,
    name=labels,
    priority=st.integers(-(10**6), 10**6),
    when=st.builds(
        When,
        model=st.none() | st.just(("auto", "gpt-*")),
        tags=st.none() | st.just(("prod",)),
        content_tokens=st.none() | st.builds(ContentTokens, min=st.integers(0, 9)),
        tools=st.none() | st.booleans(),
        expression=st.none() | st.just('metadata.repo == "payments"'),
    ),
    fallback=st.none() | named,
    parameters=changes,
    residency=st.sampled_from([None, "local"]),
    active=st.booleans(),
)
agents = st.builds(
    Agent, limits=limits, model=st.none() | names, fallback=st.just(()), parameters=changes,
    context=st.sampled_from(["full", "windowed"]),
)  # fmt: skip
operations = st.none() | st.lists(st.sampled_from(OPERATIONS), max_size=3).map(tuple)
tokens_of = st.builds(
    Jwt,
    issuer=st.sampled_from(["https://sso.example", "https://a/b/"]),
    audience=st.lists(labels, min_size=1, max_size=2).map(tuple),
    jwks=st.sampled_from(["", "https://sso.example/keys"]),
    algorithms=st.sampled_from([("RS256",), ("EdDSA", "ES384")]),
    leeway=durations,
    claims=st.builds(Claims, name=labels, team=st.none() | labels),
    grants=st.builds(
        Rights,
        models=st.lists(names, max_size=2).map(tuple),
        operations=operations,
        agent=st.none() | labels,
        clearance=levels,
        roles=lists,
        limits=limits,
        budgets=budgets,
    ),
)
callers = st.builds(
    CallerKey,
    name=names.filter(lambda name: "/" not in name),
    key=secrets,
    models=st.lists(names, max_size=3).map(tuple),
    expires=st.none() | st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(UTC)),
    team=st.none() | labels,
    user=st.none() | labels,
    tags=lists,
    operations=operations,
    agent=st.none() | labels,
    tier=st.none() | labels,
    clearance=levels,
    roles=lists,
    blocked=st.booleans(),
    ips=st.lists(st.sampled_from(["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"])).map(tuple),
    limits=limits,
    budgets=budgets,
    model_limits=st.dictionaries(names, walls, max_size=2),
    metadata=st.dictionaries(names, st.text(max_size=9), max_size=2),
)
everything = st.builds(
    Settings,
    listen=addresses,
    workers=st.just("auto") | st.integers(1, 1024),
    tls=st.builds(TlsFiles, certificate=files, key=files),
    max_body=st.integers(1, 1024**4),
    drain=durations,
    auth=st.sampled_from(["required", "none"]),
    providers=st.dictionaries(names, providers, max_size=2),
    models=st.dictionaries(
        names,
        st.builds(
            Model,
            targets=st.lists(targets, min_size=1, max_size=2).map(tuple),
            price=st.none() | prices,
            access=levels,
            authorized=st.builds(Authorized, users=lists, roles=lists),
            limits=limits,
            budgets=budgets,
            strategy=st.sampled_from(["weighted", "score", "cheapest_above"]),
            score=st.builds(Score, cost=positive, quality=durations),
            retry=st.builds(Retry, attempts=st.integers(1, 100), initial=st.floats(0.1, 60)),
            fallback=st.builds(Fallback, models=named, on=st.just(("timeout",)), total=positive),
            rescue=st.sampled_from([(), ("restart", "prefill")]),
            hedge=st.builds(Hedge, after=st.none() | positive | st.sampled_from(["p50", "p99"])),
            breaker=st.builds(Breaker, probes=st.integers(1, 100), bypass=st.booleans()),
            parameters=st.builds(Parameters, force=said, unsupported=st.just("refuse")),
            quality=st.none() | st.floats(0, 1),
            capabilities=st.none() | capabilities,
            status=st.sampled_from(["active", "inactive", "deprecated"]),
            tags=lists,
        ),
        max_size=2,
    ),
    passthrough=st.none() | st.builds(Passthrough, provider=names),
    keys=st.lists(callers, max_size=2).map(tuple),
    jwt=st.lists(tokens_of, max_size=1).map(tuple),
    teams=scopes,
    rules=st.lists(rules, max_size=2).map(tuple),
    agents=st.dictionaries(names, agents, max_size=2),
    sessions=scopes,
    everyone=walls,
    redis=st.none() | st.just(Secret("rediss://:p%40@h:6379/0")),
    store_failure=st.builds(StoreFailure, limits=st.sampled_from(["deny", "allow", "local"])),
    max_queue=st.integers(0, 100_000),
    budget_status=st.sampled_from([402, 422, 429]),
    proxies=st.builds(
        Proxies,
        https=st.none() | st.just(Secret("http://u:p@h:1")),
        none=st.lists(names, max_size=2).map(tuple),
    ),
    telemetry=telemetries,
    data_dir=visible.map(Path),
    store=st.just("embedded") | st.just(Secret("postgresql://u:p%40@[::1]:1,h/d?sslmode=require")),
    spool=spools,
    admin=st.builds(Admin, listen=addresses, key=st.none() | secrets),
)


@settings(max_examples=examples(40), deadline=None)
@given(everything, st.lists(visible.map(Path), max_size=3).map(tuple))
def test_a_dump_parses_to_an_equal_snapshot(written: Settings, read: tuple[Path, ...]) -> None:
    snapshot = Snapshot.of(written, read)
    again = Snapshot.parse(snapshot.dump())
    assert again == snapshot
    assert Snapshot.of(again.settings, read).version == snapshot.version
    assert again.dump() == snapshot.dump()


def test_the_example_survives(tmp_path: Path) -> None:
    text = """
    keys: [{name: a, key: sk-a, expires: 2030-01-31}]
    providers:
      off: {kind: openai, api_keys: ["${NO:-}"]}
      on: {kind: openai, api_keys: [sk-x], headers: {x: y}}
      demo: {kind: demo, enabled: false}
    """
    snapshot = Snapshot.of(settings_of(tmp_path, text), (Path("a.yaml"),))
    again = Snapshot.parse(snapshot.dump())
    assert again == snapshot
    reasons = [provider.off_reason for provider in again.settings.providers.values()]
    assert reasons == ["api_keys is empty (is NO set?)", None, "enabled is false"]
    assert again.settings.keys[0].key.reveal() == "sk-a"


def test_the_version_follows_the_content_only(tmp_path: Path) -> None:
    one, same, other = tmp_path / "1.yaml", tmp_path / "2.yaml", tmp_path / "3.yaml"
    one.write_text("auth: none\ndrain: 60s\n")
    same.write_text("# moved\ndrain: 1m\nauth: none\n")
    other.write_text("auth: none\ndrain: 61s\n")
    versions = [load(path, env={}).version for path in (one, same, other)]
    assert versions[0] == versions[1] != versions[2]
    assert all(len(version) == 12 and int(version, 16) >= 0 for version in versions)


def test_a_secret_changes_the_version(tmp_path: Path) -> None:
    text = "keys: [{name: a, key: '${K}'}]"
    versions = {Snapshot.of(settings_of(tmp_path, text, {"K": key})).version for key in ("a", "b")}
    assert len(versions) == 2


def test_the_repr_of_a_snapshot_is_discreet(tmp_path: Path) -> None:
    snapshot = Snapshot.of(settings_of(tmp_path, "keys: [{name: a, key: sk-hidden}]"))
    assert "sk-hidden" not in repr(snapshot)
    assert b"sk-hidden" in snapshot.dump()


def test_a_foreign_dump_is_refused_without_echo() -> None:
    with pytest.raises(ValueError, match="validation error") as caught:
        Snapshot.parse(b'{"version": "x", "files": [], "settings": {"keys": ["sk-hidden"]}}')
    assert "sk-hidden" not in str(caught.value)
