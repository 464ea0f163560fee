"""Single settings: what they take, what they refuse, and the place they name."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from proxy.config.settings import Settings
from tests.unit.config.config_cases import settings_of, wrong_with


def provider(text: str) -> str:
    return f"providers: {{p: {{kind: openai, {text}}}}}"


def test_defaults() -> None:
    settings = Settings()
    assert str(settings.listen) == "127.0.0.1:8080"
    assert (settings.workers, settings.worker_count, settings.max_body) == (1, 1, 32 * 1024**2)
    assert (settings.drain, settings.auth) == (30, "required")
    assert (settings.telemetry.log.level, settings.telemetry.log.format) == ("info", "json")
    assert (settings.data_dir, settings.store) == (Path("data"), "embedded")


def test_provider_defaults(tmp_path: Path) -> None:
    text = "providers: {p: {kind: openai}, d: {kind: demo}}"
    providers = settings_of(tmp_path, text).providers
    openai, demo = providers["p"], providers["d"]
    assert openai.base_url == "https://api.openai.com/v1"
    assert (openai.timeouts.connect, openai.timeouts.first_token) == (5, 60)
    assert (openai.timeouts.idle, openai.timeouts.total) == (60, 600)
    assert (openai.pool.max_connections, openai.pool.keepalive) == (1000, 60)
    assert (openai.enabled, openai.off_reason, openai.api_keys) == (True, None, ())
    assert (demo.base_url, demo.delay, demo.off_reason) == ("", 0.02, None)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("250ms", 0.25), ("1ms", 0.001), ("5s", 5), ("2m", 120), ("1h", 3600), ("7d", 604800),
     ("1.5s", 1.5), ("30", 30), ("0.5", 0.5), ("'30'", 30), ("0", 0)],
)  # fmt: skip
def test_durations(tmp_path: Path, written: str, seconds: float) -> None:
    assert settings_of(tmp_path, f"drain: {written}").drain == seconds


@pytest.mark.parametrize(
    "written", ["5 s", "s", "-1s", "5min", "1h30m", "true", "[]", ".inf", ".nan", "400d", "٣s"]
)
def test_refused_durations(tmp_path: Path, written: str) -> None:
    (problem,) = wrong_with(tmp_path, f"drain: {written}")
    assert problem.startswith("1:8: `drain` must be a ")


@pytest.mark.parametrize(
    ("written", "count"),
    [("1", 1), ("64KiB", 65536), ("32MiB", 33554432), ("1GiB", 1024**3), ("12B", 12),
     ("1.5KiB", 1536), ("'99'", 99)],
)  # fmt: skip
def test_sizes(tmp_path: Path, written: str, count: int) -> None:
    found = settings_of(tmp_path, f"max_body: {written}").max_body
    assert found == count
    assert isinstance(found, int)


@pytest.mark.parametrize("written", ["0", "-1", "1MB", "1.5", "0.3KiB", "true", "9999GiB", "x"])
def test_refused_sizes(tmp_path: Path, written: str) -> None:
    (problem,) = wrong_with(tmp_path, f"max_body: {written}")
    assert problem.startswith("1:11: `max_body` must be a size")


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("'[::1]:0'", "::1", 0),
        ("localhost:65535", "localhost", 65535),
    ],
)
def test_listen(tmp_path: Path, written: str, host: str, port: int) -> None:
    listen = settings_of(tmp_path, f"listen: {written}").listen
    assert (listen.host, listen.port) == (host, port)
    assert str(listen) == written.strip("'")


@pytest.mark.parametrize(
    "written",
    ["8080", "':8080'", "localhost", "host:65536", "'::1:8080'", "'[::1]'", "'[x]:1'", "'a b:1'",
     "'a:٣'", "'a/b:1'", "[1]"],
)  # fmt: skip
def test_refused_listen(tmp_path: Path, written: str) -> None:
    (problem,) = wrong_with(tmp_path, f"listen: {written}")
    assert problem.startswith("1:9: `listen` must ")


def test_workers(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "workers: 3").worker_count == 3
    auto = settings_of(tmp_path, "workers: auto")
    assert (auto.workers, auto.worker_count >= 1) == ("auto", True)
    for wrong in ("0", "-1", "1.0", "true", "'2'", "many", "9999"):
        (problem,) = wrong_with(tmp_path, f"workers: {wrong}")
        assert problem.startswith("1:10: `workers` must be a whole number")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://host/v1/", "https://host/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("'http://[::1]:8000/a'", "http://[::1]:8000/a"),
        ("''", "https://api.openai.com/v1"),
    ],
)
def test_base_url(tmp_path: Path, written: str, url: str) -> None:
    assert settings_of(tmp_path, provider(f"base_url: {written}")).providers["p"].base_url == url


@pytest.mark.parametrize(
    "written",
    ["ftp://x", "host/v1", "https://", "https://:1", "https://u:hunter2@h", "https://h?x=1",
     "https://h#x", "https://h:0", "https://h:99999", "'https://[::1'", "'https://h ost'",
     "https://ä.example", "3", "'https://h/\\\\x'"],
)  # fmt: skip
def test_refused_base_url(tmp_path: Path, written: str) -> None:
    (problem,) = wrong_with(tmp_path, provider(f"base_url: {written}"))
    assert problem.startswith("1:41: `providers.p.base_url` must ")
    assert "hunter2" not in problem


def test_empty_api_keys_switch_a_provider_off(tmp_path: Path) -> None:
    def reason(keys: str, **env: str) -> str | None:
        return settings_of(tmp_path, provider(keys), env).providers["p"].off_reason

    assert reason('api_keys: ["${A:-}"]') == "api_keys is empty (is A set?)"
    assert reason('api_keys: ["${A:-}", "${B:-}", "${A:-}"]') == (
        "api_keys is empty (are A or B set?)"
    )
    assert reason("api_keys: []") == "api_keys is empty"
    assert reason("api_keys: ['', null]") == "api_keys is empty"
    assert reason('api_keys: ["${A:-}"]', A="sk-a") is None
    assert reason("enabled: false") == "enabled is false"
    assert reason("enabled: false, api_keys: []") == "enabled is false"
    plain = "providers:\n  p:\n    kind: openai\n    api_keys:\n      - ${A:-}\n"
    assert settings_of(tmp_path, plain).providers["p"].off_reason == "api_keys is empty (is A set?)"


def test_empty_api_keys_are_dropped(tmp_path: Path) -> None:
    text = provider('api_keys: ["${A:-}", sk-b, "${C}"]')
    keys = settings_of(tmp_path, text, {"C": "sk-c"}).providers["p"].api_keys
    assert [(each.key.reveal(), each.weight) for each in keys] == [("sk-b", 1), ("sk-c", 1)]


def test_api_keys_may_have_weights(tmp_path: Path) -> None:
    text = provider('api_keys: [sk-a, {key: "${B}", weight: 2.5}, {key: "${C:-}"}, {key: null}]')
    found = settings_of(tmp_path, text, {"B": "sk-b"}).providers["p"]
    assert [(each.key.reveal(), each.weight) for each in found.api_keys] == [
        ("sk-a", 1), ("sk-b", 2.5),
    ]  # fmt: skip
    assert "sk-" not in repr(found)
    empty = settings_of(tmp_path, provider('api_keys: [{key: "${C:-}", weight: 2}]'))
    assert empty.providers["p"].off_reason == "api_keys is empty (is C set?)"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{weight: 1}", "1:42: `providers.p.api_keys[0].key` is missing"),
        ("{key: a, weight: 0}", "1:59: `providers.p.api_keys[0].weight` must be more than 0"),
        ("{key: a, weightt: 1}", "1:51: unknown key `weightt`; did you mean `weight`?"),
        ("{key: a b}", "1:48: `providers.p.api_keys[0].key` must be visible ASCII"),
        ("[a]", "1:42: `providers.p.api_keys[0].key` must be text"),
        ('"${UNSET}"', "1:42: the environment variable UNSET is not set"),
    ],
)
def test_refused_api_keys(tmp_path: Path, written: str, expected: str) -> None:
    (problem,) = wrong_with(tmp_path, provider(f"api_keys: [{written}]"))
    assert problem.startswith(expected)


def test_where_a_provider_is_and_how_it_is_watched(tmp_path: Path) -> None:
    text = """
    providers:
      cloud: {kind: openai}
      house:
        kind: openai
        region: cellar
        residency: local
        queue: 7
        health: {probe: completion, every: 1m, daily_cost: 0.25}
      demo: {kind: demo}
      faked: {kind: demo, residency: cloud}
      unset: {kind: demo, residency: "${R:-}"}
    """
    found = settings_of(tmp_path, text).providers
    assert {name: each.residency for name, each in found.items()} == {
        "cloud": "cloud", "house": "local", "demo": "local", "faked": "cloud", "unset": "local",
    }  # fmt: skip
    cloud, house = found["cloud"], found["house"]
    assert (cloud.region, cloud.queue) == (None, 0)
    assert (cloud.health.probe, cloud.health.every, str(cloud.health.daily_cost)) == (
        "none", 30, "0.1",
    )  # fmt: skip
    assert (house.region, house.queue) == ("cellar", 7)
    assert (house.health.probe, house.health.every, str(house.health.daily_cost)) == (
        "completion", 60, "0.25",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("queue: 100001", "1:38: `providers.p.queue` must be a whole number from 0 to 100000"),
        ("queue: -1", "1:38: `providers.p.queue` must be a whole number from 0 to 100000"),
        (
            "residency: clowd",
            "1:42: `providers.p.residency` must be cloud or local; did you mean `",
        ),
        ("region: ' eu'", "1:39: `providers.p.region` must be a name"),
        ("health: {probe: model}", "1:47: `providers.p.health.probe` must be none, models or"),
        ("health: {every: 999ms}", "1:47: `providers.p.health.every` must be 1s or more"),
        ("health: {daily_cost: -1}", "1:52: `providers.p.health.daily_cost` must be a price"),
        ("health: models", "1:39: `providers.p.health` must be a mapping"),
    ],
)
def test_refused_health_and_places(tmp_path: Path, written: str, expected: str) -> None:
    (problem,) = wrong_with(tmp_path, provider(written))
    assert problem.startswith(expected)


def test_a_demo_provider_is_never_off_for_want_of_keys(tmp_path: Path) -> None:
    text = "providers: {d: {kind: demo, api_keys: [], delay: 5ms}}"
    demo = settings_of(tmp_path, text).providers["d"]
    assert (demo.off_reason, demo.delay) == (None, 0.005)


def test_off_reason_cannot_be_written(tmp_path: Path) -> None:
    (problem,) = wrong_with(tmp_path, provider("off_reason: x"))
    assert problem.startswith("1:31: unknown key `off_reason`")


def test_headers(tmp_path: Path) -> None:
    text = provider("headers: {OpenAI-Organization: org-1, x-key: 'a b\tc'}")
    headers = settings_of(tmp_path, text).providers["p"].headers
    revealed = {name: value.reveal() for name, value in headers.items()}
    assert revealed == {"OpenAI-Organization": "org-1", "x-key": "a b\tc"}
    assert "org-1" not in repr(headers)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Host: a", "1:41: `providers.p.headers.Host` cannot be set: the connection sets it"),
        ("content-length: '1'", "1:41: `providers.p.headers.content-length` cannot be set"),
        ("Transfer-Encoding: x", "1:41: `providers.p.headers.Transfer-Encoding` cannot be set"),
        ("Connection: x", "1:41: `providers.p.headers.Connection` cannot be set"),
        ("'a b': x", "1:41: `providers.p.headers.a b` is no header field name"),
        ("a: \"x\\r\\ny: z\"", "1:44: `providers.p.headers.a` must be one line of ASCII"),
        ("a: é", "1:44: `providers.p.headers.a` must be one line of ASCII"),
        ("a: ' x'", "1:44: `providers.p.headers.a` must not begin or end with a space"),
        ("a: 1.10", "1:44: `providers.p.headers.a` must be text; put it in quotes"),
        ("a: x, A: y", "1:40: `providers.p.headers` names a field twice"),
    ],
)  # fmt: skip
def test_refused_headers(tmp_path: Path, written: str, expected: str) -> None:
    (problem,) = wrong_with(tmp_path, provider(f"headers: {{{written}}}"))
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (provider("timeouts: {idle: 0}"), "1:48: `providers.p.timeouts.idle` must be more than 0"),
        (provider("pool: {max_connections: 0}"), "1:55: `providers.p.pool.max_connections` must"),
        (provider("pool: {max_connections: '9'}"), "1:55: `providers.p.pool.max_connections` must"),
        (provider("enabled: on"), "1:40: `providers.p.enabled` must be true or false"),
        (provider("delay: 1s"), "1:31: `delay` is for kind demo only"),
        (provider("api_keys: sk-a"), "1:41: `providers.p.api_keys` must be a list"),
        (provider("api_keys: [12345]"), "1:42: `providers.p.api_keys[0].key` must be text"),
        ("providers: {p: {}}", "1:13: `providers.p.kind` is missing"),
        ("providers: {p: }", "1:16: `providers.p` must be a mapping"),
        ("providers: [p]", "1:12: `providers` must be a mapping"),
        ("providers: {a/b: {kind: demo}}", "1:13: a provider's name may hold"),
        ("providers: {p: {kind: opnai}}",
         "1:23: `providers.p.kind` must be openai or demo; did you mean `openai`?"),
        ("providers: {p: {kind: anthropic}}",
         "1:23: `providers.p.kind` is `anthropic`, which is part of the configuration"),
        ("providers: {p: {kind: 3}}", "1:23: `providers.p.kind` must be openai or demo"),
        ("telemetry: {log: {level: degub}}",
         "1:26: `telemetry.log.level` must be debug, info, warning or error; did you mean"),
        ("telemetry: {log: text}", "1:18: `telemetry.log` must be a mapping"),
        ("proxies: {https: 'http://h/path'}", "1:18: `proxies.https` must be a URL such as"),
        ("proxies: {http: 'https://h:1'}", "1:17: `proxies.http` must begin with http://"),
        ("proxies: 3", "1:10: `proxies` must be a mapping"),
        ("auth: maybe", "1:7: `auth` must be required or none"),
    ],
)  # fmt: skip
def test_refused_values_have_the_place_of_the_value(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert wrong_with(tmp_path, text)[0].startswith(expected)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
        ("2030-01-31T12:00:00Z", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31 12:00", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00+02:00", datetime(2030, 1, 31, 10, tzinfo=UTC)),
        ("null", None),
    ],
)
def test_expiry(tmp_path: Path, written: str, moment: datetime | None) -> None:
    text = f"keys: [{{name: a, key: b, expires: {written}}}]"
    assert settings_of(tmp_path, text).keys[0].expires == moment


@pytest.mark.parametrize(
    "written", ["tomorrow", "20300131", "2030-02-31", "true", "0001-01-01T00:00:00+09:00"]
)
def test_refused_expiry(tmp_path: Path, written: str) -> None:
    (problem,) = wrong_with(tmp_path, f"keys: [{{name: a, key: b, expires: {written}}}]")
    assert problem.startswith("1:35: `keys[0].expires` must be a date")


def test_settings_are_frozen_and_closed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.drain = 3
    with pytest.raises(ValidationError):
        Settings.model_validate({"no_such": 1})
