"""A configuration that changes while the proxy serves."""

import os
import signal
from pathlib import Path

import pytest

from tests.integration.processes_harness import configuration, serving


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(configuration("first"))
    return path


def test_a_changed_file_is_taken_without_a_signal(config: Path) -> None:
    config.write_text(configuration("first", workers=2))
    with serving(config) as proxy:
        before = proxy.children()
        config.write_text(configuration("second", workers=2))
        proxy.saw(r"configuration [0-9a-f]+ active in all workers")
        assert all(proxy.models() == {"second"} for _ in range(8))
        assert proxy.children() == before


def test_a_signal_has_the_file_read_again_and_says_when_nothing_is_new(config: Path) -> None:
    with serving(config) as proxy:
        version = proxy.ready()[3]
        proxy.signal(signal.SIGHUP)
        proxy.saw(f"configuration {version} is unchanged")
        config.write_text(configuration("second"))
        proxy.signal(signal.SIGHUP)
        proxy.saw("active in all workers")
        assert proxy.models() == {"second"}


def test_an_invalid_file_changes_nothing_and_says_why(config: Path) -> None:
    with serving(config) as proxy:
        config.write_text(configuration("second") + "worker: 2\nlisten: nowhere\n")
        proxy.saw(r"config\.yaml:\d+:1: .*worker")
        proxy.saw("not valid; nothing was changed")
        assert proxy.models() == {"first"}
        mark = proxy.mark()
        config.write_text(configuration("third"))
        proxy.saw("active in all workers", mark)
        assert proxy.models() == {"third"}


def test_after_an_invalid_file_the_old_one_is_no_news(config: Path) -> None:
    with serving(config) as proxy:
        good = config.read_text()
        config.write_text("models: [")
        proxy.saw("not valid; nothing was changed")
        config.write_text(good)
        proxy.saw(f"configuration {proxy.ready()[3]} is unchanged")
        assert proxy.models() == {"first"}


@pytest.mark.parametrize("part", ["listen", "workers"])
def test_what_needs_a_restart_is_refused_whole(config: Path, part: str) -> None:
    with serving(config) as proxy:
        port, workers = (1, 1) if part == "listen" else (0, 2)
        config.write_text(configuration("second", port=port, workers=workers))
        proxy.saw(f"is not taken: a change of {part} needs a restart")
        assert proxy.models() == {"first"}


def test_what_a_worker_cannot_build_is_dropped(config: Path) -> None:
    config.with_name("junk.pem").write_text("no certificate")
    provider = "  other: {kind: openai, base_url: https://localhost:1/v1, tls: {ca: junk.pem}}"
    with serving(config) as proxy:
        version = proxy.ready()[3]
        config.write_text(configuration("second").replace("models:", f"{provider}\nmodels:"))
        proxy.saw(r"worker-0 refused configuration [0-9a-f]+: .")
        proxy.saw(f"is dropped: a worker refused it; {version} stays")
        os.kill(proxy.children()["worker-0"], signal.SIGKILL)
        assert proxy.models() == {"first"}


def test_a_configmap_that_kubernetes_swaps_by_symlink_is_seen(tmp_path: Path) -> None:
    first, second = tmp_path / "..2026_1", tmp_path / "..2026_2"
    for directory, model in ((first, "first"), (second, "second")):
        directory.mkdir()
        (directory / "config.yaml").write_text(configuration(model))
    data = tmp_path / "..data"
    data.symlink_to(first.name)
    config = tmp_path / "config.yaml"
    config.symlink_to("..data/config.yaml")
    with serving(config) as proxy:
        assert proxy.models() == {"first"}
        swapped = tmp_path / "..data_tmp"
        swapped.symlink_to(second.name)
        swapped.rename(data)
        proxy.saw("active in all workers")
        assert proxy.models() == {"second"}


def test_an_included_file_is_watched_as_soon_as_it_is_included(config: Path) -> None:
    other = config.with_name("other.yaml")
    with serving(config) as proxy:
        other.write_text("drain: 1s\n")
        including = configuration("second").replace("drain: 10s", "include: [other.yaml]")
        config.write_text(including)
        mark = proxy.mark()
        proxy.saw("active in all workers")
        other.write_text("drain: 2s\n")
        proxy.saw("active in all workers", mark + 1)


def test_a_stream_in_flight_keeps_the_configuration_it_began_with(config: Path) -> None:
    config.write_text(configuration("first", delay="50ms"))
    with serving(config) as proxy:
        answer = proxy.chat("first", stream=True)
        begin = answer.readline()
        config.write_text(configuration("second"))
        proxy.saw("active in all workers")
        assert proxy.chat("first", stream=False).status == 404
        assert (begin + answer.read()).rstrip().endswith(b"data: [DONE]")


def test_a_restarted_worker_gets_the_last_good_configuration(config: Path) -> None:
    with serving(config) as proxy:
        config.write_text(configuration("second"))
        proxy.saw("active in all workers")
        config.write_text("broken: [")
        proxy.saw("not valid; nothing was changed")
        os.kill(proxy.children()["worker-0"], signal.SIGKILL)
        assert proxy.models() == {"second"}


def test_the_log_follows_the_configuration(config: Path) -> None:
    with serving(config) as proxy:
        config.write_text(configuration("second").replace("format: text", "format: json"))
        line = proxy.saw(r'"message":"configuration [0-9a-f]+ active in all workers"')
        assert '"process":"supervisor"' in line.string


def test_the_environment_of_the_command_line_is_kept_on_reload(config: Path) -> None:
    extra = "{extra: {targets: [{provider: demo, model: demo-1}]}}"
    overlay = f"environments:\n  production: {{models: {extra}}}\n"
    config.write_text(configuration("first") + overlay)
    with serving(config, ["--env", "production"]) as proxy:
        assert proxy.models() == {"first", "extra"}
        config.write_text(configuration("second") + overlay)
        proxy.saw("active in all workers")
        assert proxy.models() == {"second", "extra"}
