"""Every secret of a configuration is found, wherever it stands."""

from pathlib import Path

from proxy.config.load import load
from proxy.config.secrets import secrets_of

TEXT = """
keys: [{name: a, key: virtual-key}]
admin: {key: admin-key}
store: "postgresql://user:pass%2Fword@127.0.0.1:1/name"
providers:
  p:
    kind: openai
    base_url: http://127.0.0.1:9/v1
    api_keys: [first-key, second-key]
    headers: {x-account: account-key}
models: {m: {targets: [{provider: p, model: m}]}}
telemetry: {otlp: {endpoint: "http://127.0.0.1:4318", headers: {x-token: collector-key}}}
proxies: {https: "http://user:proxy-word@127.0.0.1:3128"}
"""


def test_all_of_them_are_found(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(TEXT, encoding="utf-8")
    settings = load(path, env={}).settings
    found = secrets_of(settings)
    assert found >= {
        *("virtual-key", "admin-key", "first-key", "second-key", "account-key", "collector-key"),
        *("pass%2Fword", "pass/word", "proxy-word"),
    }
    assert not found & {"a", "p", "m", "http://127.0.0.1:9/v1"}


def test_a_url_that_is_none_is_a_secret_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    store = "postgresql://user:word-of-two@one:1,two:2/name"
    path.write_text(TEXT.replace("postgresql://user:pass%2Fword@127.0.0.1:1/name", store))
    assert store in secrets_of(load(path, env={}).settings)
