"""All that lies in the package is in the wheel: SQL, Lua, the catalogue of prices, `py.typed`.

No wheel is built here. Hatchling takes every file below `packages` that `.gitignore` does not name,
as long as the build configuration says nothing else; so that is what is looked at.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.guard.source_tree import PACKAGE, ROOT

_PLAIN: Mapping[str, Any] = {"packages": ["proxy"]}
_ADDS = {"force-include", "hooks"}  # What the wheel has besides takes nothing away.
_MADE_BY_PYTHON = "__pycache__"
_NEEDED = {".sql", ".lua", ".json", ".typed"}


def is_ignored(path: str, patterns: Iterable[str]) -> bool:
    """Whether a `.gitignore` of such lines leaves out a path (from the root), or a folder of it."""
    parts = PurePosixPath(path).parts
    for pattern in patterns:
        name = pattern.rstrip("/")
        if "/" in name:
            name = name.lstrip("/")
            if any(fnmatch("/".join(parts[:end]), name) for end in range(1, len(parts) + 1)):
                return True
        elif any(fnmatch(part, name) for part in parts):
            return True
    return False


def left_out(files: Sequence[str], build: Mapping[str, Any], patterns: Sequence[str]) -> list[str]:
    """Files that the wheel does not have; a build configuration that nobody here can judge leaves
    out all."""
    wheel = build["targets"]["wheel"]
    rest = {name: said for name, said in wheel.items() if name not in _ADDS}
    if rest != _PLAIN or build != {"targets": {"wheel": wheel}}:
        return list(files)
    return [path for path in files if is_ignored(path, patterns)]


def _built(wheel: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"targets": {"wheel": dict(wheel)}}


def _files() -> list[str]:
    found = (path for path in PACKAGE.rglob("*") if path.is_file())
    return [
        path.relative_to(ROOT).as_posix() for path in found if _MADE_BY_PYTHON not in path.parts
    ]


def _ignored() -> list[str]:
    lines = (ROOT / ".gitignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_file_of_the_package_is_in_the_wheel() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    files = _files()
    assert left_out(files, build, _ignored()) == []
    assert {PurePosixPath(path).suffix for path in files} >= _NEEDED


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("proxy/stores/redis/scripts/take.lua", "*.lua"),
        ("proxy/stores/redis/scripts/take.lua", "scripts/"),
        ("proxy/usage/prices/catalogue.json", "/proxy/usage/prices/"),
        ("proxy/usage/prices/catalogue.json", "/proxy/*/prices/*.json"),
    ],
)
def test_a_file_that_is_left_out_is_found(path: str, pattern: str) -> None:
    assert left_out([path, "proxy/app.py"], _built(_PLAIN), ["/data/", pattern]) == [path]


def test_another_build_configuration_is_not_taken_on_trust() -> None:
    plain = _built(_PLAIN)
    for build in (_built({**_PLAIN, "exclude": ["*.sql"]}), {**plain, "ignore-vcs": True}):
        assert left_out(["proxy/a.sql"], build, []) == ["proxy/a.sql"]
    assert (
        left_out(["proxy/a.sql"], _built({**_PLAIN, **{adds: {"x": "y"} for adds in _ADDS}}), [])
        == []
    )
