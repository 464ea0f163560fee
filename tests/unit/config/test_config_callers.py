"""Keys, tokens, levels, limits and budgets as they are written: what is taken, what is refused."""

from decimal import Decimal
from pathlib import Path

import pytest

from proxy.build.callers import caller, callers
from proxy.config.limits import MOST, Budget, Limits, Rollover, Walls
from proxy.core.caller import Access
from proxy.core.quota import Calendar, Rule, Scope, Sliding
from tests.unit.config.config_cases import settings_of, wrong_with

A_KEY = "keys: [{name: a, key: b, "
A_BUDGET = "keys: [{name: a, key: b, budgets: [{amount: 1, period: day, "
DEMO = "providers: {d: {kind: demo}}\n"
A_LIMIT = f"must be a whole number from 0 to {MOST}"
NO_ZONE = "`keys[0].budgets[0].zone` must be a time zone such as UTC or Europe/Berlin"
NO_NETWORK = "must be an address or a network such as 10.0.0.0/8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("keys: [{name: a/b, key: k}]",
         ["`keys[0].name` must have no `/`, which parts a key from a model"]),
        (A_KEY + "limits: {rpm: -1}}]", [f"`keys[0].limits.rpm` {A_LIMIT}"]),
        (A_KEY + "limits: {tpd: 1000000000001}}]", [f"`keys[0].limits.tpd` {A_LIMIT}"]),
        (A_KEY + "limits: {tpd: 10000000000000000000000}}]", [f"`keys[0].limits.tpd` {A_LIMIT}"]),
        (A_KEY + "limits: {rpm: 1.5, tpm: '7', rpd: true, concurrency: .inf}}]",
         [f"`keys[0].limits.{name}` must be a whole number"
          for name in ("rpm", "tpm", "rpd", "concurrency")]),
        (A_KEY + "limits: {rmp: 1}}]", ["unknown key `rmp`; did you mean `rpm`?"]),
        (A_KEY + "limits: [1]}]", ["`keys[0].limits` must be a mapping"]),
        (A_KEY + "budgets: {amount: 1}}]", ["`keys[0].budgets` must be a list"]),
        (A_KEY + "budgets: [{amount: -1, period: day}]}]",
         ["`keys[0].budgets[0].amount` must be a price in USD such as 2.5, 0 or more"]),
        (A_KEY + "budgets: [{amount: 0, period: day}]}]",
         ["`keys[0].budgets[0].amount` must be more than 0"]),
        (A_KEY + "budgets: [{amount: 1e9, period: day}]}]",
         ["`keys[0].budgets[0].amount` must be a price in USD, 1000000 at most"]),
        (A_KEY + "budgets: [{amount: 0.0000000001, period: day}]}]",
         ["`keys[0].budgets[0].amount` must have 9 decimals at most"]),
        (A_KEY + "budgets: [{amount: .nan, period: day}]}]",
         ["`keys[0].budgets[0].amount` must be a price"]),
        (A_KEY + "budgets: [{amount: 1}]}]", ["`keys[0].budgets[0].period` is missing"]),
        (A_KEY + "budgets: [{period: day}]}]", ["`keys[0].budgets[0].amount` is missing"]),
        (A_KEY + "budgets: [{amount: 1, period: year}]}]",
         ["`keys[0].budgets[0].period` must be day, week, month or total"]),
        (A_BUDGET + "zone: Mars/Base}]}]", [NO_ZONE]),
        (A_BUDGET + "zone: ../../etc/passwd}]}]", [NO_ZONE]),
        (A_BUDGET + "zone: /etc/localtime}]}]", [NO_ZONE]),
        (A_BUDGET + "zone: ''}]}]", [NO_ZONE]),
        (A_BUDGET + "zone: 7}]}]", [NO_ZONE]),
        (A_BUDGET + "hard: 1}]}]", ["`keys[0].budgets[0].hard` must be true or false"]),
        (A_BUDGET + "alerts: [0, 1001, 5.5]}]}]",
         ["`keys[0].budgets[0].alerts[0]` must be whole percents from 1 to 1000",
          "`keys[0].budgets[0].alerts[1]` must be whole percents from 1 to 1000",
          "`keys[0].budgets[0].alerts[2]` must be a whole number"]),
        (A_BUDGET + "alerts: [50, 50]}]}]",
         ["`keys[0].budgets[0].alerts` must not have the same entry twice"]),
        (A_BUDGET + "rollover: {fraction: 1.1, expires: 0}}]}]",
         ["`keys[0].budgets[0].rollover.fraction` must be a number from 0 to 1",
          "`keys[0].budgets[0].rollover.expires` must be a number of periods from 1 to 12"]),
        (A_BUDGET + "rollover: {expires: 13}}]}]",
         ["`keys[0].budgets[0].rollover.fraction` is missing",
          "`keys[0].budgets[0].rollover.expires` must be a number of periods from 1 to 12"]),
        (A_KEY + "budgets: [{amount: 1, period: total, rollover: {fraction: 0.5}}]}]",
         ["`keys[0].budgets[0]` cannot have a `rollover` with period total, which never ends"]),
        (A_KEY + "budgets: [{amount: 1, period: day}, {amount: 2, period: day}]}]",
         ["`keys[0].budgets` may have one hard and one soft budget for each period"]),
        (A_KEY + "operations: [chta, models, 7]}]",
         ["`keys[0].operations[0]` must be an operation; did you mean `chat`?",
          "`keys[0].operations[1]` must be an operation; known: chat, completions, responses",
          "`keys[0].operations[2]` must be an operation; known: chat"]),
        (A_KEY + "ips: [300.1.1.1, 10.0.0.0/33, 7, localhost, '']}]",
         [f"`keys[0].ips[{n}]` {NO_NETWORK}" for n in range(5)]),
        (A_KEY + "clearance: top}]",
         ["`keys[0].clearance` must be public, internal, confidential, restricted or classified"]),
        (A_KEY + "blocked: 'yes'}]", ["`keys[0].blocked` must be true or false"]),
        (A_KEY + "roles: [a, a]}]", ["`keys[0].roles` must not have the same entry twice"]),
        (A_KEY + "agent: ' x'}]", ["`keys[0].agent` must be a name"]),
        (A_KEY + "metadata: {a: 7}}]", ["`keys[0].metadata.a` must be text; put it in quotes"]),
        (A_KEY + "model_limits: {'a*b*': {limits: {rpm: 1}}}}]",
         ["`keys[0].model_limits.a*b*` may have one `*` at most"]),
        (A_KEY + "model_limits: {m: {limits: {rpm: -1}}}}]",
         [f"`keys[0].model_limits.m.limits.rpm` {A_LIMIT}"]),
        ("max_queue: -1", ["`max_queue` must be a whole number from 0 to 100000"]),
        ("max_queue: 100001", ["`max_queue` must be a whole number from 0 to 100000"]),
        ("budget_status: 500", ["`budget_status` must be 402, 422 or 429"]),
        ("budget_status: '429'", ["`budget_status` must be 402, 422 or 429"]),
        ("store_failure: {limits: maybe, budgets: 1}",
         ["`store_failure.limits` must be deny, allow or local",
          "`store_failure.budgets` must be deny, allow or local"]),
        ("teams: {a: {limit: {rpm: 1}}}", ["unknown key `limit`; did you mean `limits`?"]),
        ("sessions: {'*': {limits: {rpm: x}}}",
         ["`sessions.*.limits.rpm` must be a whole number"]),
        ("global: {limits: {rpm: 1}, name: x}", ["unknown key `name`; known here: budgets, lim"]),
        ("everyone: {limits: {rpm: 1}}", ["unknown key `everyone`"]),
        ("redis: localhost:6379", ["`redis` must be a URL such as redis://"]),
        ("redis: 'redis://'", ["`redis` must be a URL in visible ASCII that names a host"]),
        ("redis: 'redis://h:99999'", ["`redis` must be a URL with a valid host and port"]),
        (DEMO + "models: {m: {access: secret, targets: [{provider: d, model: x}]}}",
         ["`models.m.access` must be public, internal, confidential, restricted or classified"]),
        ("auth: none\n" + DEMO
         + "models: {m: {authorized: {users: ['']}, targets: [{provider: d, model: x}]}}",
         ["`models.m.authorized.users[0]` must be a name"]),
        ("jwt: [{issuer: 'https://a', audience: [x], leeway: -1s}]",
         ["`jwt[0].leeway` must be a duration"]),
        ("jwt: [{issuer: 'https://a', audience: [x], claims: {name: ''}}]",
         ["`jwt[0].claims.name` must be a name"]),
        ("jwt: [{issuer: 'https://a', audience: [x], grants: {key: x, ips: []}}]",
         ["unknown key `key`", "unknown key `ips`"]),
        ("jwt: [{issuer: 'https://a', audience: [x], grants: {limits: {rpm: -1}}}]",
         [f"`jwt[0].grants.limits.rpm` {A_LIMIT}"]),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, text: str, expected: list[str]) -> None:
    problems = [problem.split(": ", 1)[1] for problem in wrong_with(tmp_path, text)]
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


def test_what_is_taken(tmp_path: Path) -> None:
    text = """
    keys:
      - name: a
        key: sk-a
        operations: [chat, passthrough]
        ips: [192.0.2.7, 10.1.2.3/8, "2001:db8::1/32"]
        blocked: true
        clearance: restricted
        roles: [analyst]
        limits: {rpm: 0, tokens_per_request: 1000000000000}
        budgets:
          - {amount: 0.000000001, period: day, zone: Asia/Kathmandu, alerts: [80, 100]}
          - {amount: "12.50", period: day, hard: false}
          - {amount: 1000000, period: week, rollover: {fraction: 0.5}}
        model_limits: {"gpt-*": {limits: {concurrency: 2}}}
        metadata: {owner: me}
    teams: {"*": {limits: {rpm: 5}}, research: {budgets: [{amount: 1, period: total}]}}
    global: {limits: {tpm: 9}}
    """
    settings = settings_of(tmp_path, text)
    (key,) = settings.keys
    assert key.ips == ("192.0.2.7/32", "10.0.0.0/8", "2001:db8::/32")
    assert key.limits == Limits(rpm=0, tokens_per_request=MOST)
    assert [budget.amount for budget in key.budgets] == [
        Decimal("0.000000001"), Decimal("12.5"), Decimal(1000000),
    ]  # fmt: skip
    assert key.budgets[2].rollover == Rollover(fraction=0.5, expires=1)
    assert settings.teams["*"] == Walls(limits=Limits(rpm=5))
    assert settings.everyone.limits.tpm == 9
    assert key.metadata == {"owner": "me"}


def test_defaults_let_nobody_beyond_what_is_internal(tmp_path: Path) -> None:
    text = DEMO + "keys: [{name: a, key: b}]\nmodels: {m: {targets: [{provider: d, model: x}]}}"
    settings = settings_of(tmp_path, text)
    assert settings.keys[0].clearance == "internal"
    assert settings.models["m"].access == "internal"
    assert settings.keys[0].limits == Limits()
    assert Budget(amount=Decimal(1), period="day").hard
    assert settings.store_failure.budgets == "deny"


def test_a_caller_is_what_the_key_says(tmp_path: Path) -> None:
    text = """
    keys:
      - name: a
        key: sk-a
        expires: 2030-01-02
        operations: [chat]
        ips: [10.0.0.0/8]
        blocked: true
        agent: bot
        tier: gold
        tags: [t]
        clearance: classified
        roles: [analyst]
        limits: {rpm: 3, tpd: 4, concurrency: 5, tokens_per_request: 6}
        budgets:
          - {amount: 1.5, period: month, zone: UTC, rollover: {fraction: 0.25, expires: 2}}
          - {amount: 1, period: month, hard: false}
        model_limits: {"gpt-*": {limits: {rpd: 7}}}
    """
    found = caller(settings_of(tmp_path, text).keys[0])
    key = Scope("key", "a")
    assert (found.name, found.expires, found.blocked) == ("a", 1893542400.0, True)
    assert (found.agent, found.tier, found.tags) == ("bot", "gold", ("t",))
    assert found.clearance is Access.CLASSIFIED
    assert found.roles == frozenset(("role:analyst",))
    assert found.operations == frozenset(("chat",))
    assert [str(network) for network in found.networks] == ["10.0.0.0/8"]
    assert found.walls.rates == (
        Rule(key, "rpm", "requests", 3, Sliding(60)),
        Rule(key, "tpd", "tokens", 4, Sliding(86400)),
        Rule(key, "concurrency", "concurrency", 5, None),
    )
    assert found.walls.tokens_per_request == 6
    hard, soft = found.walls.budgets
    assert (hard.limit, hard.hard, hard.window) == (
        1_500_000_000, True, Calendar("month", "UTC", 0.25, 2),
    )  # fmt: skip
    assert (soft.limit, soft.hard) == (10**9, False)
    assert hard.key != soft.key
    ((patterns, walls),) = found.per_model
    assert "gpt-4" in patterns
    assert "claude" not in patterns
    assert [(rule.limit, rule.scope.kind) for rule in walls.rates] == [(7, "key_model")]


def test_the_name_of_a_key_is_refused_where_it_stands(tmp_path: Path) -> None:
    text = "keys:\n  - {name: a, key: x}\n  - {key: y, name: b/c}\n"
    (problem,) = wrong_with(tmp_path, text)
    assert problem.startswith("3:20: `keys[1].name` must have no `/`")


def test_without_auth_there_are_no_callers(tmp_path: Path) -> None:
    assert callers(settings_of(tmp_path, "keys: [{name: a, key: b}]")) is None
    found = callers(settings_of(tmp_path, "auth: required\nkeys: [{name: a, key: b}]"))
    assert found is not None
    assert [each.name for each in found.values()] == ["a"]
