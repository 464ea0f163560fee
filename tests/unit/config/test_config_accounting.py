"""Accounting: where records are kept, whose they are, who is told and who may ask."""

from pathlib import Path

import pytest

from proxy.base.secret import Secret
from proxy.config.load import load
from proxy.config.snapshot import Snapshot
from tests.unit.config.config_cases import settings_of, written, wrong_with


def test_defaults(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "")
    assert (settings.store, settings.data_dir) == ("embedded", tmp_path / "data")
    spool, admin, telemetry = settings.spool, settings.admin, settings.telemetry
    assert (spool.failure, spool.sync, spool.segment, spool.age) == ("refuse", 1, 64 * 1024**2, 60)
    assert (str(admin.listen), admin.key) == ("127.0.0.1:8081", None)
    assert (telemetry.content, telemetry.retention) == ("metadata", 7 * 86400)
    otlp = telemetry.otlp
    assert (otlp.endpoint, otlp.protocol, otlp.sample) == (None, "http/protobuf", 1)
    assert (otlp.names, otlp.headers) == (("gen_ai", "openinference"), {})
    assert telemetry.metrics.labels == ("model", "provider", "status", "team")


@pytest.mark.parametrize("store", ["null", "embedded", "'${S:-}'"])
def test_nothing_turns_the_store_off(tmp_path: Path, store: str) -> None:
    assert settings_of(tmp_path, f"store: {store}").store == "embedded"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:p%40ss@db.example:5433/usage?sslmode=require",
        "postgres://db",
        "postgresql://u@[::1]:65535,h2,h1:1/d",
        "postgresql:///d?host=/var/run/postgresql",
        "postgresql://u:@/d?host=/s",
    ],
)
def test_a_store_of_your_own(tmp_path: Path, url: str) -> None:
    store = settings_of(tmp_path, f"store: '{url}'").store
    assert isinstance(store, Secret)
    assert store.reveal() == url


@pytest.mark.parametrize(
    "url",
    ["''", "3", "[a]", "emmbedded", "mysql://h/d", "sqlite:///x", "postgresql+asyncpg://h/d",
     "Postgresql://h/d", "postgresql://", "postgresql:///d", "postgresql://u:hunter2#x@h/d",
     "postgresql://u:hunter2/x@h/d", "postgresql://u:hunter2%zz@h/d", "postgresql://h:0/d",
     "postgresql://h:65536/d", "postgresql://h:x/d", "postgresql://[::g]/d", "postgresql://h,/d",
     "'postgresql://u:hunter2 @h/d'", "postgresql://h/d?sslmode", "'postgresql://[::1/d'"],
)  # fmt: skip
def test_refused_stores(tmp_path: Path, url: str) -> None:
    (problem,) = wrong_with(tmp_path, f"store: {url}")
    assert problem.startswith("1:8: `store` must be ")
    assert "hunter2" not in problem


def test_a_password_in_the_store_is_never_shown(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "store: postgresql://u:hunter2@h/d\nadmin: {key: hunter2}")
    snapshot = Snapshot.of(settings)
    for shown in (repr(snapshot), settings.model_dump_json(), str(settings.model_dump())):
        assert "hunter2" not in shown
    assert Snapshot.parse(snapshot.dump()) == snapshot
    assert b"u:hunter2@h" in snapshot.dump()


def test_data_lies_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    written(tmp_path, "data_dir: ../kept", "sub/part.yaml")
    settings = settings_of(tmp_path, "include: [sub/part.yaml]")
    assert settings.data_dir == tmp_path / "sub/../kept"
    assert not settings.data_dir.exists()
    absolute = settings_of(tmp_path, f"data_dir: {tmp_path}/there")
    assert absolute.data_dir == tmp_path / "there"


def test_the_default_lies_beside_the_file_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    written(tmp_path, "drain: 1s", "sub/part.yaml")
    written(tmp_path, "include: [sub/part.yaml]\nauth: none\ndata_dir: '${D:-}'")
    monkeypatch.chdir(tmp_path / "sub")
    assert load(Path("../config.yaml"), env={}).settings.data_dir == tmp_path / "sub/../data"
    monkeypatch.chdir(tmp_path)
    found = load(Path("config.yaml"), env={}).settings.data_dir
    assert (found, found.is_absolute()) == (tmp_path / "data", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data_dir: config.yaml", "1:11: this is not a folder"),
        ("data_dir: ''", "1:11: `data_dir` must be the name of a folder"),
        ("data_dir: 3", "1:11: `data_dir` must be the name of a folder"),
        ("data_dir: [a]", "1:11: `data_dir` must be the name of a folder"),
        ('data_dir: "a\\0"', "1:11: `data_dir` must be the name of a folder"),
        ("spool: {failure: ignore}", "1:18: `spool.failure` must be refuse or continue"),
        ("spool: {failure: refues}", "1:18: `spool.failure` must be refuse or continue; did you"),
        ("spool: {sync: 0}", "1:15: `spool.sync` must be 10ms or more"),
        ("spool: {age: 9ms}", "1:14: `spool.age` must be 10ms or more"),
        ("spool: {sync: soon}", "1:15: `spool.sync` must be a duration"),
        ("spool: {segment: 4095}", "1:18: `spool.segment` must be 4KiB or more"),
        ("spool: {segmentt: 1MiB}", "1:9: unknown key `segmentt`; did you mean `segment`?"),
        ("spool: off", "1:8: `spool` must be a mapping"),
        ("admin: {listen: 8081}", "1:17: `admin.listen` must be host:port"),
        ("admin: {key: 'a b'}", "1:14: `admin.key` must be visible ASCII"),
        ("admin: {listen: '127.0.0.1:8080'}", "1:17: `listen` and `admin.listen` must not be on"),
        ("listen: 0.0.0.0:8081", "1:9: `listen` and `admin.listen` must not be on the same port"),
        ("listen: 'a:1'\nadmin: {listen: '[::]:1'}", "2:17: `listen` and `admin.listen` must not"),
        ("keys: [{name: a, key: sk-1}]\nadmin: {key: sk-1}",
         "2:14: this key is the same as that of a caller at {path}:1:23"),
        ("telemetry: {content: all}", "1:22: `telemetry.content` must be none, metadata or full"),
        ("telemetry: {retention: 1h}", "1:24: `telemetry.retention` must be a duration from 1d"),
        ("telemetry: {retention: 4000d}", "1:24: `telemetry.retention` must be a duration from 1d"),
        ("telemetry: {retention: x}", "1:24: `telemetry.retention` must be a duration such as"),
        ("telemetry: {metrics: {labels: [moddell]}}",
         "1:32: `telemetry.metrics.labels[0]` must be model, provider, status, team, key, "
         "operation or outcome; did you mean `model`?"),
        ("telemetry: {metrics: {labels: [key, key]}}",
         "1:31: `telemetry.metrics.labels` must not have the same entry twice"),
        ("telemetry: {metrics: {labels: key}}", "1:31: `telemetry.metrics.labels` must be a list"),
        ("keys: [{name: a, key: b, team: ''}]", "1:32: `keys[0].team` must be a name"),
        ("keys: [{name: a, key: b, user: ' x'}]", "1:32: `keys[0].user` must be a name"),
        ("keys: [{name: a, key: b, project: 7}]", "1:35: `keys[0].project` must be text; put it"),
        ("keys: [{name: a, key: b, tags: x}]", "1:32: `keys[0].tags` must be a list"),
        ("keys: [{name: a, key: b, tags: [x, x]}]", "1:32: `keys[0].tags` must not have the same"),
        (f"keys: [{{name: a, key: b, tags: [{'x' * 129}]}}]",
         "1:33: `keys[0].tags[0]` must have 128 characters at most"),
    ],
)  # fmt: skip
def test_refused_values_have_the_place_of_the_value(
    tmp_path: Path, text: str, expected: str
) -> None:
    (problem,) = wrong_with(tmp_path, text)
    assert problem.startswith(expected.format(path=tmp_path / "config.yaml"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("endpoint: c:4318", "must begin with http:// or https://"),
        ("endpoint: '\\\\c'", "must be a URL in visible ASCII"),
        ("endpoint: ftp://c", "must begin with http:// or https://"),
        ("endpoint: 'https://u:hunter2@c'", "must not hold a user or password; use `headers`"),
        ("endpoint: https://c?a=b", "must not have a query or fragment"),
        ("endpoint: http://c:4318/v1/traces", "must be the base URL; /v1/traces and /v1/metrics"),
        ("protocol: http/json", "must be http/protobuf or grpc"),
        ("protocol: gprc", "must be http/protobuf or grpc; did you mean `grpc`?"),
        ("sample: 1.01", "must be a number from 0 to 1"),
        ("sample: -0.1", "must be a number from 0 to 1"),
        ("sample: .nan", "must be a number from 0 to 1"),
        ("sample: 50%", "must be a number from 0 to 1"),
        ("names: []", "must have at least one entry"),
        ("names: [gen_ai, gen_ai]", "must not have the same entry twice"),
        ("headers: [a]", "must be a mapping"),
    ],
)
def test_refused_collectors(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = wrong_with(tmp_path, f"telemetry: {{otlp: {{{text}}}}}")
    key = text.partition(": ")[0]
    column = len("telemetry: {otlp: {") + len(key) + 3
    assert problem.startswith(f"1:{column}: `telemetry.otlp.{key}` {expected}")
    assert "hunter2" not in problem


def test_a_collector(tmp_path: Path) -> None:
    text = """
    auth: none
    telemetry:
      content: none
      retention: 400d
      otlp:
        endpoint: https://collector.example/otel/
        sample: 0.25
        names: [openinference]
        headers: {authorization: "Bearer hunter2", x-empty: "${NO:-}", x-null: null}
      metrics: {labels: []}
    """
    telemetry = settings_of(tmp_path, text).telemetry
    assert (telemetry.content, telemetry.retention) == ("none", 400 * 86400)
    otlp = telemetry.otlp
    assert (otlp.endpoint, otlp.sample) == ("https://collector.example/otel", 0.25)
    assert (otlp.names, telemetry.metrics.labels) == (("openinference",), ())
    assert {k: v.reveal() for k, v in otlp.headers.items()} == {"authorization": "Bearer hunter2"}
    assert "hunter2" not in repr(telemetry)


@pytest.mark.parametrize("endpoint", ["null", "''", "'${NO:-}'"])
def test_no_collector(tmp_path: Path, endpoint: str) -> None:
    text = f"telemetry: {{otlp: {{endpoint: {endpoint}}}}}"
    assert settings_of(tmp_path, text).telemetry.otlp.endpoint is None


def test_grpc_has_no_path(tmp_path: Path) -> None:
    def grpc(endpoint: str) -> str:
        return f"telemetry: {{otlp: {{protocol: grpc, endpoint: '{endpoint}'}}}}"

    for good in ("http://c:4317", "https://c:4317/"):
        endpoint = settings_of(tmp_path, grpc(good)).telemetry.otlp.endpoint
        assert endpoint == good.rstrip("/")
    (problem,) = wrong_with(tmp_path, grpc("http://c:4317/otel"))
    assert problem.startswith("1:46: with protocol grpc this must be a host and port")


@pytest.mark.parametrize("key", ["null", "''", "'${NO:-}'"])
def test_no_admin_key(tmp_path: Path, key: str) -> None:
    assert settings_of(tmp_path, f"admin: {{key: {key}}}").admin.key is None


def test_an_admin_key(tmp_path: Path) -> None:
    text = "admin: {listen: '0.0.0.0:9', key: '${K}'}\nlisten: '127.0.0.1:8081'"
    admin = settings_of(tmp_path, text, {"K": "sk-admin"}).admin
    assert str(admin.listen) == "0.0.0.0:9"
    assert admin.key == Secret("sk-admin")
    assert "sk-admin" not in repr(admin)


def test_ports_that_the_kernel_chooses_may_be_alike(tmp_path: Path) -> None:
    text = "listen: 127.0.0.1:0\nadmin: {listen: '127.0.0.1:0'}"
    assert settings_of(tmp_path, text).admin.listen.port == 0
    text = "listen: 127.0.0.1:80\nadmin: {listen: '127.0.0.2:80'}"
    assert settings_of(tmp_path, text).admin.listen.port == 80


def test_what_a_key_is_counted_by(tmp_path: Path) -> None:
    text = "keys: [{name: a, key: b, team: research, user: ada, project: p/1, tags: [x, 'Ä y']}]"
    key = settings_of(tmp_path, text).keys[0]
    assert (key.team, key.user, key.project, key.tags) == ("research", "ada", "p/1", ("x", "Ä y"))


ENVIRONMENTS = """
data_dir: here
spool: {failure: continue, age: 30s}
admin: {key: sk-admin}
telemetry: {content: none, otlp: {sample: 0.5}}
environments:
  production:
    store: "${DATABASE_URL}"
    data_dir: /var/lib/llm-proxy
    spool: {age: 10s}
    admin: {listen: "0.0.0.0:9090"}
    telemetry: {otlp: {endpoint: "http://collector:4318"}, metrics: {labels: [team]}}
"""


def test_an_environment_lies_on_top(tmp_path: Path) -> None:
    base = settings_of(tmp_path, ENVIRONMENTS)
    assert (base.store, base.data_dir) == ("embedded", tmp_path / "here")
    assert base.telemetry.otlp.endpoint is None
    env = {"DATABASE_URL": "postgres://u:hunter2@db/usage"}
    settings = settings_of(tmp_path, ENVIRONMENTS, env, "production")
    assert settings.store == Secret("postgres://u:hunter2@db/usage")
    assert settings.data_dir == Path("/var/lib/llm-proxy")
    assert (settings.spool.failure, settings.spool.age) == ("continue", 10)
    assert (str(settings.admin.listen), settings.admin.key) == ("0.0.0.0:9090", Secret("sk-admin"))
    telemetry = settings.telemetry
    assert (telemetry.content, telemetry.otlp.sample) == ("none", 0.5)
    assert telemetry.otlp.endpoint == "http://collector:4318"
    assert telemetry.metrics.labels == ("team",)
