"""What the tests of the configuration share: load a text, or see what is wrong with it."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from proxy.config.load import load
from proxy.config.problems import ConfigError
from proxy.config.settings import Settings

NO_VARIABLES: Mapping[str, str] = {}


def written(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return path


def settings_of(
    folder: Path,
    text: str,
    env: Mapping[str, str] = NO_VARIABLES,
    environment: str | None = None,
) -> Settings:
    """The settings of a text that is right; `auth: none` is added unless it says something."""
    path = written(folder, dedent(text) + ("" if "auth" in text else "\nauth: none\n"))
    return load(path, environment=environment, env=env).settings


def wrong_with(
    folder: Path,
    text: str,
    env: Mapping[str, str] = NO_VARIABLES,
    environment: str | None = None,
) -> list[str]:
    """`line:column: message` of every problem of a text; files other than it keep their name."""
    path = written(folder, dedent(text).lstrip("\n") + ("" if "auth" in text else "\nauth: none\n"))
    with pytest.raises(ConfigError) as caught:
        load(path, environment=environment, env=env)
    shown = str(caught.value).splitlines()
    assert shown == [str(problem) for problem in caught.value.problems]
    return [line.removeprefix(f"{path}:").removeprefix(f"{folder}/") for line in shown]
