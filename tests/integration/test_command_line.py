"""`llm-proxy` as typed at a shell: what it prints and its exit codes."""

import re
from pathlib import Path

import pytest

from tests.integration.processes_harness import configuration, run_command, started


def test_check_prints_the_plan(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(configuration("first"))
    done = run_command("check", "good.yaml", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "first" in done.stdout
    assert done.stderr == ""


def test_check_of_a_broken_file_says_where_and_the_nearest_key(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(configuration("first") + "wrokers: 2\n")
    done = run_command("check", "bad.yaml", directory=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    line = len(configuration("first").splitlines()) + 1
    assert f"bad.yaml:{line}:1: " in done.stderr
    assert "`workers`" in done.stderr


@pytest.mark.parametrize("content", [None, "models: [", "listen: nowhere\n"])
def test_serve_of_a_broken_file_ends_with_2_and_the_place(
    tmp_path: Path, content: str | None
) -> None:
    config = tmp_path / "config.yaml"
    if content is not None:
        config.write_text(content)
    with started(config) as proxy:
        assert proxy.ended() == 2
        assert re.match(rf"{re.escape(str(config))}:\d+:\d+: ", proxy.log())
        assert "Traceback" not in proxy.log()


def test_serve_without_a_configuration_says_where_to_begin(tmp_path: Path) -> None:
    done = run_command("serve", directory=tmp_path)
    assert done.returncode == 2
    assert "config.example.yaml" in done.stderr


def test_serve_takes_the_file_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("listen: nowhere\n")
    done = run_command("serve", directory=tmp_path)
    assert done.returncode == 2
    assert "config.yaml:1:9: " in done.stderr


def test_an_unknown_environment_is_a_bad_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(configuration("first"))
    done = run_command("serve", "--env", "staging", directory=tmp_path)
    assert done.returncode == 2
    assert "`staging`" in done.stderr


def test_version(tmp_path: Path) -> None:
    done = run_command("version", directory=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("llm-proxy ")


@pytest.mark.parametrize("arguments", [[], ["serv"], ["check"], ["serve", "--port", "1"]])
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: list[str]) -> None:
    done = run_command(*arguments, directory=tmp_path)
    assert done.returncode == 2
    assert "usage: llm-proxy" in done.stderr


def test_a_file_beside_the_configuration_is_never_imported(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("listen: nowhere\n")
    (tmp_path / "yaml.py").write_text("raise SystemExit('imported from the working directory')\n")
    with started(tmp_path / "config.yaml") as proxy:
        assert proxy.ended() == 2
        assert "working directory" not in proxy.log()
