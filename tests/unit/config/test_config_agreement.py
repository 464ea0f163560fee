"""Keys that do not exist, settings that do not agree, and secrets that must not show."""

from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.near import nearest
from proxy.config.planned import PLANNED, PLANNED_KINDS, planned
from proxy.config.problems import ConfigError
from tests.unit.config.config_cases import settings_of, wrong_with

DEMO = "providers: {demo: {kind: demo}, other: {kind: demo}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("provydrs: {}", "1:1: unknown key `provydrs`; did you mean `providers`?"),
        ("Listen: x", "1:1: unknown key `Listen`; did you mean `listen`?"),
        ("environment: {}", "1:1: unknown key `environment`; did you mean `environments`?"),
        ("incldue_: []", "1:1: unknown key `incldue_`; did you mean `include`?"),
        ("zzz: 1", "1:1: unknown key `zzz`; known here: admin, agents, alerts, auth, b"),
        ("telemetry:\n  log:\n    formaat: x", "3:5: unknown key `formaat`; did you mean"),
        ("keys:\n  - name: a\n    key: b\n    expire: null", "4:5: unknown key `expire`; did"),
        (DEMO + "models:\n  m:\n    targets: [{provider: demo, modeel: x}]",
         "4:32: unknown key `modeel`; did you mean `model`?"),
    ],
)  # fmt: skip
def test_unknown_keys_name_the_nearest(tmp_path: Path, text: str, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in wrong_with(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules:\n  - {name: x, cache: {}}", "2:15: `rules[0].cache` (the cache policy of a rule)"),
        ("rules: [{name: x, active: false}, {name: y, guardrails: []}]",
         "1:45: `rules[1].guardrails` ("),
        ("idempotency: {}", "1:1: `idempotency` (idempotency keys)"),
        ("cache: null", "1:1: `cache` ("),
    ],
)  # fmt: skip
def test_planned_keys_say_so(tmp_path: Path, text: str, expected: str) -> None:
    problem = wrong_with(tmp_path, text)[0]
    assert problem.startswith(expected)
    assert problem.endswith(
        "is part of the configuration language but not built in this version; remove it"
    )


@pytest.mark.parametrize("kind", PLANNED_KINDS)
def test_planned_kinds_say_so(tmp_path: Path, kind: str) -> None:
    (problem,) = wrong_with(tmp_path, f"providers: {{p: {{kind: {kind}}}}}")
    assert f"`{kind}`, which is part of the configuration language but not built" in problem


def test_every_planned_row_is_reached_by_its_own_path() -> None:
    for pattern, purpose in PLANNED.items():
        loc = tuple("name" if step == "*" else step for step in pattern.split("."))
        assert planned(loc) == purpose
    assert planned(("providers", "limits")) is None
    assert planned(()) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DEMO + "models: {m: {targets: [{provider: dmeo, model: d}]}}",
         ["2:35: the provider `dmeo` is not defined under `providers`; did you mean `demo`?"]),
        (DEMO + "models: {m: {targets: [{provider: x, model: d}]}}",
         ["2:35: the provider `x` is not defined under `providers`; known: demo, other"]),
        (DEMO + "passthrough: {provider: x}",
         ["2:25: the provider `x` is not defined under `providers`; known: demo, other"]),
        ("passthrough: {provider: x}",
         ["1:25: the provider `x` is not defined under `providers`; known: none"]),
        ("passthrough: {}", ["1:1: `passthrough.provider` is missing"]),
        (DEMO + "models: {m: {targets: []}}",
         ["2:23: `models.m.targets` must have at least one entry"]),
        (DEMO + "models: {m: {}}", ["2:10: `models.m.targets` is missing"]),
        (DEMO + "models: {'a*b*': {targets: [{provider: demo, model: '*'}]}}",
         ["2:10: a model's name may have one `*` at most"]),
        (DEMO + "models: {' a': {targets: [{provider: demo, model: d}]}}",
         ["2:10: a model's name must be printable, with no space around it"]),
        (DEMO + "models: {a: {targets: [{provider: demo, model: 'x*'}]}}",
         ["2:48: `*` here needs a `*` in the model's name"]),
        (DEMO + "models: {'a*': {targets: [{provider: demo, model: '*x*'}]}}",
         ["2:51: `models.a*.targets[0].model` may have one `*` at most"]),
        (DEMO + "models: {a: {targets: [{provider: demo, model: x, weight: 0}]}}",
         ["2:14: every target has weight 0; one at least must have more"]),
        (DEMO + "models: {a: {targets: [{provider: demo, model: x, weight: -1}]}}",
         ["2:59: `models.a.targets[0].weight` must be a number, 0 or more"]),
        (DEMO + "models: {a: {targets: [{provider: demo, model: x, weight: .inf}]}}",
         ["2:59: `models.a.targets[0].weight` must be a number, 0 or more"]),
        ("keys: [{name: a, key: sk-1}, {name: a, key: sk-2}]",
         ["1:37: this name is already used by the key at {path}:1:15"]),
        ("keys: [{name: a, key: sk-1}, {name: b, key: sk-1}]",
         ["1:45: this key is the same as that at {path}:1:23"]),
        ("keys: [{name: a, key: ''}]", ["1:23: `keys[0].key` must not be empty"]),
        ("keys: [{name: a, key: 'sk a'}]", ["1:23: `keys[0].key` must be visible ASCII"]),
        ("keys: [{key: a}, b]",
         ["1:8: `keys[0].name` is missing", "1:18: `keys[1]` must be a mapping"]),
        ("keys: [{name: a, key: b, models: ['a*b*']}]", ["1:35: `keys[0].models[0]` may have one"]),
        ("jwt: [{issuer: 'https://a', audience: [x]}, {issuer: 'https://a', audience: [y]}]",
         ["1:54: this issuer is already at {path}:1:16"]),
        ("jwt: [{issuer: us, audience: [x]}]",
         ["1:7: `jwt[0]` must have `jwks`, or an `issuer` that is a URL"]),
        ("jwt: [{issuer: 'https://a b', audience: [x]}]", ["1:7: `jwt[0]` must have `jwks`, or"]),
        ("jwt: [{issuer: 'https://a', audience: []}]",
         ["1:39: `jwt[0].audience` must have at least one entry"]),
        ("jwt: [{issuer: 'https://a'}]", ["1:7: `jwt[0].audience` is missing"]),
        ("jwt: [{issuer: us, audience: [x], jwks: 'ftp://k'}]",
         ["1:41: `jwt[0].jwks` must begin with http:// or https://"]),
        ("jwt: [{issuer: 'https://a', audience: [x], algorithms: [HS256]}]",
         ["1:57: `jwt[0].algorithms[0]` must be RS256, RS384,"]),
        ("jwt: [{issuer: 'https://a', audience: [x], algorithms: [none]}]",
         ["1:57: `jwt[0].algorithms[0]` must be RS256, RS384,"]),
        ("tls: {key: absent.pem}",
         ["1:7: `tls.key` needs `tls.certificate` too", "1:12: this file does not exist"]),
        (f"providers: {{p: {{kind: openai, tls: {{ca: {'x' * 5000}}}}}}}",
         ["1:41: this file does not exist"]),
        ("providers: {p: {kind: openai, tls: {ca: absent.pem}}}",
         ["1:41: this file does not exist"]),
    ],
)  # fmt: skip
def test_what_must_agree(tmp_path: Path, text: str, expected: list[str]) -> None:
    problems = wrong_with(tmp_path, text)
    assert len(problems) == len(expected)
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start.format(path=tmp_path / "config.yaml"))


@pytest.mark.parametrize(
    ("text", "place"),
    [("auth: required", "1:7"), ("# auth\nworkers: 1", "2:1"), ("# auth\nkeys: []", "2:1"),
     ("# auth\nworkers: 1\nkeys:", "3:1")],
)  # fmt: skip
def test_required_auth_needs_keys(tmp_path: Path, text: str, place: str) -> None:
    (problem,) = wrong_with(tmp_path, text)
    assert problem.startswith(
        f"{place}: `auth` is `required` (the default) and there are no `keys`"
    )
    assert "write `auth: none`" in problem


def test_keys_that_are_made_in_the_store_are_enough_for_auth(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("admin: {key: sk-admin}")
    assert load(path, env={}).settings.keys == ()
    for text in ("admin: {key: sk-admin}\nstore: none", "admin: {key: '${NOT_SET:-}'}"):
        (problem,) = wrong_with(tmp_path, f"# auth\n{text}")
        assert "set `admin.key`" in problem


@pytest.mark.parametrize("kind", ["customers", "agents", "sessions", "tags"])
def test_budgets_that_no_record_could_restore_are_refused(tmp_path: Path, kind: str) -> None:
    silent = "auth: none\ntelemetry: {content: none}\n"
    budget = f"{kind}: {{a: {{budgets: [{{amount: 5, period: day}}]}}}}"
    (problem,) = wrong_with(tmp_path, silent + budget)
    assert problem.startswith(f"3:{len(kind) + 8}: budgets of {kind} need `redis`")
    path = tmp_path / "config.yaml"
    for taken in (
        silent + f"{kind}: {{a: {{limits: {{rpm: 1}}, budgets: []}}}}",
        silent + "redis: redis://127.0.0.1\n" + budget,
        silent + "store: none\n" + budget,
        silent.replace("none}", "metadata}") + budget,
        silent + budget.replace(kind, "teams"),
    ):
        path.write_text(taken)
        load(path, env={})


def test_tokens_are_enough_for_auth(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("jwt: [{issuer: 'https://sso.example', audience: [llm-proxy]}]")
    settings = load(path, env={}).settings
    assert settings.auth == "required"
    assert settings.jwt[0].algorithms == ("RS256", "ES256")


def test_one_wildcard_and_zero_weights_are_fine(tmp_path: Path) -> None:
    text = (
        DEMO
        + """
models:
  "openai/*": {targets: [{provider: demo, model: "*"}]}
  "*":
    targets:
      - {provider: demo, model: "x-*", weight: 0}
      - {provider: other, model: d, weight: 0.5}
"""
    )
    models = settings_of(tmp_path, text).models
    assert [target.weight for target in models["*"].targets] == [0, 0.5]


def test_files_are_found_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("ca.pem", "server.pem", "sub/server.key"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub/part.yaml").write_text("tls: {key: server.key}")
    text = f"""
include: [sub/part.yaml]
tls: {{certificate: server.pem}}
providers: {{p: {{kind: openai, tls: {{ca: {tmp_path}/ca.pem}}}}}}
"""
    settings = settings_of(tmp_path, text)
    assert settings.tls.certificate == tmp_path / "server.pem"
    assert settings.tls.key == tmp_path / "sub/server.key"
    assert settings.providers["p"].tls.ca == tmp_path / "ca.pem"


SECRET = "sk-Very-Secret-1234"


@pytest.mark.parametrize(
    "text",
    [
        "keys: [{name: a, key: ['${S}']}]",
        "keys: [{name: a, key: {x: '${S}'}}]",
        "keys: [{name: a, key: ' ${S}'}]",
        "keys: [{name: a, key: '${S}'}, {name: b, key: '${S}'}]",
        "keys: '${S}'",
        "providers: {p: {kind: '${S}'}}",
        "providers: {p: {kind: openai, base_url: 'https://u:${S}@h/'}}",
        "providers: {p: {kind: openai, api_keys: '${S}'}}",
        "providers: {p: {kind: openai, api_keys: ['${S} ']}}",
        'providers: {p: {kind: openai, headers: {a: "${S}\\n"}}}',
        "passthrough: {provider: '${S}'}",
        "listen: '${S}'",
        "drain: ${S}",
        "workers: ${S}",
        "max_body: ${S}",
        "telemetry: {log: {level: '${S}', format: '${S}'}}",
        "auth: '${S}'",
        "proxies: {https: 'socks://${S}@h'}",
        "tls: {certificate: '${S}', key: '${S}'}",
        "include: ['${S}:/nowhere.yaml', 3]",
        "store: '${S}'",
        "store: 'mysql://u:${S}@h/d'",
        "store: 'postgresql://u:${S}@h:x/d'",
        "store: 'postgresql://u:p#${S}@h/d'",
        "store: ['${S}']",
        "spool: {failure: '${S}', sync: '${S}', segment: '${S}', age: '${S}'}",
        "admin: {listen: '${S}', key: ' ${S}'}",
        "admin: {key: '${S}'}\nkeys: [{name: a, key: '${S}'}]",
        'data_dir: "${S}\\0"',
        "telemetry: {content: '${S}', retention: '${S}', metrics: {labels: ['${S}']}}",
        "telemetry: {otlp: {endpoint: 'https://u:${S}@h', protocol: '${S}', sample: '${S}'}}",
        "telemetry: {otlp: {names: ['${S}'], headers: {authorization: ' ${S}'}}}",
        "models: {m: {price: {input: '${S}'}}}",
        "keys: [{name: a, key: b, team: '${S} ', tags: ['${S}', '${S}']}]",
        "providers: {p: {kind: openai, api_keys: [{key: '${S} ', weight: '${S}'}, ['${S}']]}}",
        "providers: {p: {kind: openai, residency: '${S}', queue: '${S}', health: {probe: '${S}'}}}",
        "models: {m: {strategy: '${S}', score: {cost: '${S}'}, status: '${S}', tags: ['${S} ']}}",
        "models: {m: {fallback: {models: ['${S}', '${S}'], on: ['${S}'], total: '${S}'}}}",
        "models: {m: {hedge: {after: '${S}', share: '${S}'}, rescue: ['${S}'], retry: '${S}'}}",
        "models: {m: {capabilities: ['${S}'], context_window: '${S}', parameters: '${S}'}}",
        "models: {m: {parameters: {limit: {n: '${S}'}, default: {n: '${S}'}, force: {n: '${S}'}}}}",
        "rules: [{name: '${S}'}, {name: '${S}', use: '${S}', fallback: ['${S}']}]",
        "rules: [{name: a, when: {language: ['${S}'], modality: ['${S}'], tools: '${S}'}}]",
        "agents: {a: {model: '${S}', fallback: ['${S}'], context: '${S}', parameters: '${S}'}}",
    ],
)
def test_no_message_shows_a_variable(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text + ("" if text.startswith("auth") else "\nauth: none\n"))
    with pytest.raises(ConfigError) as caught:
        load(path, env={"S": SECRET})
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in repr(error)
        assert SECRET not in str(error)
        error = error.__cause__ or error.__context__


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    text = """
    keys: [{name: a, key: "${S}"}]
    providers: {p: {kind: openai, api_keys: ["${S}"], headers: {x: "${S}"}}}
    proxies: {https: "http://u:${S}@h:1"}
    store: "postgresql://u:${S}@h/d"
    admin: {key: "${S}-admin"}
    telemetry: {otlp: {headers: {authorization: "Bearer ${S}"}}}
    """
    settings = settings_of(tmp_path, text, {"S": SECRET})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in settings.model_dump_json()
    assert SECRET not in str(settings.model_dump())


def test_all_problems_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """
listen: nope
plugins: []
drain: ${UNSET}
providers: {p: {kind: opnai, tls: {ca: absent}}}
models: {m: {targets: [{provider: q, model: "*"}]}}
passthrough: {provider: r}
lissten: 3
"""
    lines = [problem.split(":")[0] for problem in wrong_with(tmp_path, text)]
    assert lines == ["1", "2", "3", "4", "4", "5", "5", "6", "7"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("providrs", "providers"), ("MODELS", "models"), ("key", "keys"), ("zzz", None), ("", None),
     ("x" * 10_000, None)],
)  # fmt: skip
def test_nearest(name: str, found: str | None) -> None:
    assert nearest(name, ("providers", "models", "keys", "listen")) == found


def test_nearest_of_nothing() -> None:
    assert nearest("x", ()) is None
