"""Variables, includes and environments: what ends up on top of what."""

from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.overlay import process_environment
from tests.unit.config.config_cases import settings_of, written, wrong_with


def test_variables_fill_values(tmp_path: Path) -> None:
    text = """
    keys:
      - {name: "${WHO}-${NUMBER:-1}", key: "${KEY:-sk-$x}"}
      - {name: "a$$b$$${WHO}$", key: '$${KEY}'}
    """
    settings = settings_of(tmp_path, text, {"WHO": "ada", "KEY": ""})
    assert [key.name for key in settings.keys] == ["ada-1", "a$b$ada$"]
    assert [key.key.reveal() for key in settings.keys] == ["sk-$x", "${KEY}"]


def test_a_plain_variable_resolves_and_a_quoted_one_is_text(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "workers: ${N}", {"N": "8"}).workers == 8
    assert settings_of(tmp_path, "workers: ${N:-3}").workers == 3
    assert wrong_with(tmp_path, 'workers: "${N}"', {"N": "8"}) == [
        '1:10: `workers` must be a whole number from 1 to 1024, or "auto"'
    ]


def test_a_variable_never_becomes_structure(tmp_path: Path) -> None:
    text = "keys:\n  - name: ${X}\n    key: sk-a"
    settings = settings_of(tmp_path, text, {"X": "{a: 1}, # [*b]"})
    assert settings.keys[0].name == "{a: 1}, # [*b]"


def test_an_unset_variable_is_named_with_its_place_and_nothing_else(tmp_path: Path) -> None:
    assert wrong_with(tmp_path, 'keys:\n  - {name: a, key: "${NO_SUCH}"}\nlisten: ${OTHER}') == [
        "2:20: the environment variable NO_SUCH is not set; set it, or write ${NO_SUCH:-default}",
        "3:9: the environment variable OTHER is not set; set it, or write ${OTHER:-default}",
    ]


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A-b}", "${A:?no}"])
def test_a_broken_reference_is_refused(tmp_path: Path, text: str) -> None:
    problems = wrong_with(tmp_path, f"listen: '{text}'", {"A": "x"})
    assert len(problems) == 1
    assert problems[0].startswith("1:9: `${` must be followed by")


def test_a_value_left_empty_by_its_variable_is_absent(tmp_path: Path) -> None:
    text = """
    tls: {certificate: "${CERT:-}", key: "${CERT:-}"}
    listen: "${LISTEN:-}"
    providers:
      a: {kind: openai, headers: {OpenAI-Organization: "${ORG:-}"}}
    """
    settings = settings_of(tmp_path, text)
    assert settings.tls.certificate is None
    assert settings.listen.port == 8080
    assert settings.providers["a"].headers == {}
    assert wrong_with(tmp_path, 'keys: [{name: a, key: "${K:-}"}]') == [
        "1:23: `keys[0].key` is empty"
    ]


def test_include_merges_below(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    written(tmp_path, "include: [deep.yaml]\nworkers: 2\ndrain: 2s\nkeys: [{name: b, key: b}]",
            "parts/first.yaml")  # fmt: skip
    written(
        tmp_path, "workers: 5\ntelemetry: {log: {format: text, level: debug}}", "parts/deep.yaml"
    )
    written(tmp_path, "drain: 9s", "second.yaml")
    text = """
    include: [parts/first.yaml, "${WHICH}.yaml"]
    auth: none
    telemetry: {log: {level: error}}
    keys: [{name: a, key: a}]
    """
    path = written(tmp_path, text)
    snapshot = load(path, env={"WHICH": "second"})
    settings = snapshot.settings
    assert settings.workers == 2
    assert settings.drain == 9
    assert (settings.telemetry.log.level, settings.telemetry.log.format) == ("error", "text")
    assert [key.name for key in settings.keys] == ["a"]
    names = ["config.yaml", "parts/first.yaml", "parts/deep.yaml", "second.yaml"]
    assert snapshot.files == tuple(tmp_path / name for name in names)


def test_what_an_includer_replaces_needs_no_variable(tmp_path: Path) -> None:
    written(tmp_path, "listen: ${NO_SUCH}", "base.yaml")
    settings = settings_of(tmp_path, "include: base.yaml\nlisten: 127.0.0.1:1")
    assert settings.listen.port == 1


def test_a_problem_in_an_included_file_has_its_place(tmp_path: Path) -> None:
    written(tmp_path, "\nworkers: 0\n", "base.yaml")
    written(tmp_path, "a: [", "broken.yaml")
    assert wrong_with(tmp_path, "include: [base.yaml]\ndrain: x")[1].startswith(
        "base.yaml:1:10: `work"
    )
    (problem,) = wrong_with(tmp_path, "include: [broken.yaml]")
    assert problem == "broken.yaml:2:1: a value is missing here"


def test_includes_that_cannot_be(tmp_path: Path) -> None:
    written(tmp_path, "include: [config.yaml]", "other.yaml")
    assert wrong_with(tmp_path, "include: [config.yaml]") == [
        "1:11: the included file `config.yaml` includes itself"
    ]
    assert wrong_with(tmp_path, "include: [other.yaml]") == [
        "other.yaml:1:11: the included file `config.yaml` includes itself"
    ]
    assert wrong_with(tmp_path, "include:\n  - absent.yaml") == [
        "2:5: the included file `absent.yaml` cannot be read: no such file"
    ]
    assert wrong_with(tmp_path, "include: {a: 1}") == [
        "1:10: `include` must be a list of file names"
    ]


def test_a_file_may_be_included_twice_but_not_without_bound(tmp_path: Path) -> None:
    written(tmp_path, "workers: 4", "shared.yaml")
    for name in ("a", "b"):
        written(tmp_path, "include: [shared.yaml]", f"{name}.yaml")
    assert settings_of(tmp_path, "include: [a.yaml, b.yaml]").workers == 4
    for level in range(8):
        written(tmp_path, f"include: [{level + 1}.yaml, {level + 1}.yaml]", f"{level}.yaml")
    written(tmp_path, "workers: 4", "8.yaml")
    problems = wrong_with(tmp_path, "include: [0.yaml]")
    assert "over 100 files are included" in problems[0]


ENVIRONMENTS = """
auth: none
workers: 1
telemetry: {log: {level: info, format: text}}
environments:
  production:
    workers: 4
    telemetry: {log: {level: error}}
    listen: "${PRODUCTION_LISTEN:-[::1]:1}"
  staging: {workers: 2, listen: "${UNSET}"}
  plain:
"""


@pytest.mark.parametrize(
    ("name", "env", "workers", "level"),
    [
        (None, {}, 1, "info"),
        (None, {"LLM_PROXY_ENV": ""}, 1, "info"),
        (None, {"LLM_PROXY_ENV": "production"}, 4, "error"),
        ("production", {}, 4, "error"),
        ("plain", {"LLM_PROXY_ENV": "production"}, 1, "info"),
    ],
)
def test_environments(
    tmp_path: Path, name: str | None, env: dict[str, str], workers: int, level: str
) -> None:
    settings = settings_of(tmp_path, ENVIRONMENTS, env, name)
    assert (settings.workers, settings.telemetry.log.level) == (workers, level)
    assert settings.telemetry.log.format == "text"


def test_environments_come_from_included_files_too(tmp_path: Path) -> None:
    written(tmp_path, "environments: {production: {workers: 7, drain: 1s}}", "base.yaml")
    text = "include: [base.yaml]\nenvironments: {production: {drain: 2s}}"
    settings = settings_of(tmp_path, text, environment="production")
    assert (settings.workers, settings.drain) == (7, 2)


def test_an_unknown_environment_lists_the_known(tmp_path: Path) -> None:
    assert wrong_with(tmp_path, ENVIRONMENTS, environment="productoin") == [
        "4:1: the environment `productoin` is not defined; did you mean `production`?; "
        "known: production, staging, plain"
    ]
    assert wrong_with(tmp_path, "auth: none", {"LLM_PROXY_ENV": "x"}) == [
        "1:1: the environment `x` (from LLM_PROXY_ENV) is not defined; `environments` defines none"
    ]


def test_keys_of_environments_are_checked_chosen_or_not(tmp_path: Path) -> None:
    text = """
    environments:
      production: {lissten: "a:1", plugins: []}
      staging: {environments: {}, include: [x]}
      wrong: 3
    """
    for environment in (None, "production"):
        problems = wrong_with(tmp_path, text, environment=environment)
        assert [line.partition(";")[0] for line in problems] == [
            "2:16: unknown key `lissten`",
            "2:32: `plugins` (plugins) is part of the configuration language but not built in this "
            "version",
            "3:13: `environments` cannot be used inside an environment",
            "3:31: `include` cannot be used inside an environment",
            "4:10: `environments.wrong` must be a mapping",
        ]
    assert wrong_with(tmp_path, "environments: [a]") == [
        "1:15: `environments` must be a mapping of names"
    ]


def test_proxies_come_from_the_environment(tmp_path: Path) -> None:
    env = {"HTTPS_PROXY": "http://ada:pw@proxy:3128/", "http_proxy": "low:1", "HTTP_PROXY": "up:1",
           "NO_PROXY": "localhost, .internal,"}  # fmt: skip
    proxies = settings_of(tmp_path, "", env).proxies
    assert proxies.https is not None
    assert proxies.https.reveal() == "http://ada:pw@proxy:3128"
    assert proxies.http is not None
    assert proxies.http.reveal() == "http://low:1"
    assert proxies.none == ("localhost", ".internal")
    assert "pw" not in repr(proxies)


def test_written_proxies_win_and_null_turns_a_variable_off(tmp_path: Path) -> None:
    env = {"HTTPS_PROXY": "a:1", "HTTP_PROXY": "b:1", "NO_PROXY": "x"}
    text = 'proxies: {https: "http://c:1", http: null, none: [y, "*"]}'
    proxies = settings_of(tmp_path, text, env).proxies
    assert proxies.https is not None
    assert proxies.https.reveal() == "http://c:1"
    assert proxies.http is None
    assert proxies.none == ("y", "*")


def test_a_wrong_proxy_variable_is_named_and_not_shown(tmp_path: Path) -> None:
    assert wrong_with(tmp_path, "", {"HTTPS_PROXY": "socks5://ada:pw@x:1"}) == [
        "1:1: the environment variable HTTPS_PROXY must begin with http://"
    ]


def test_the_process_environment_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_PROXY_TEST_WORKERS", "6")
    assert process_environment()["LLM_PROXY_TEST_WORKERS"] == "6"
    path = written(tmp_path, "auth: none\nworkers: ${LLM_PROXY_TEST_WORKERS}")
    assert load(path).settings.workers == 6
