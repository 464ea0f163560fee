"""Imports go downwards only, and every third-party library has one home (docs/architecture.md)."""

import sys
from collections.abc import Iterator

import pytest

from tests.guard.floors import FLOORS, HEIGHT, HOMES, SYSTEM_HOMES
from tests.guard.source_tree import ROOT, Rule, Source, imports, sources


def floor_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def upward_imports(source: Source) -> Iterator[str]:
    """Imports of our own code that do not go down."""
    here = floor_of(source.module)
    for name, node in imports(source):
        if name.startswith("."):
            yield f"{source.at(node)}: write the import in full, not relative"
        there = floor_of(name)
        if name.split(".")[0] != "proxy" or not there or there == here or not here:
            continue
        if HEIGHT[there] >= HEIGHT[here]:
            yield f"{source.at(node)}: `{here}` may not import `{there}`"


def strangers(source: Source) -> Iterator[str]:
    """Third-party libraries, and parts of the standard one, away from their homes."""
    for name, node in imports(source):
        root = name.split(".")[0]
        if root == "proxy" or name.startswith("."):
            continue
        if root in sys.stdlib_module_names:
            homes = SYSTEM_HOMES.get(root, ("proxy/",))
        else:
            homes = HOMES.get(root, ())
        if not source.path.startswith(homes):
            yield f"{source.at(node)}: `{root}` lives in {' and '.join(homes) or 'no file'}"


def outside_imports(source: Source) -> Iterator[str]:
    """What the program imports from the tests or the bench."""
    for name, node in imports(source):
        if name.split(".")[0] in {"tests", "bench", "plugins"}:
            yield f"{source.at(node)}: the program does not import `{name}`"


@pytest.mark.parametrize("rule", [upward_imports, strangers, outside_imports])
def test_every_file_keeps_the_rule(rule: Rule) -> None:
    assert [offence for source in sources("proxy") for offence in rule(source)] == []


def test_every_package_has_a_floor() -> None:
    found = {floor_of(source.module) for source in sources("proxy")} - {""}
    assert found <= HEIGHT.keys()


def test_the_architecture_page_draws_these_floors() -> None:
    built = {floor_of(source.module) for source in sources("proxy")}
    drawn = (ROOT / "docs/architecture.md").read_text().split("```")[1]
    rows = [row.split() for row in drawn.splitlines() if row.strip() not in {"", "text"}]
    assert [set(row) - {"→", "|"} for row in rows] == [set(f & built) for f in FLOORS]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("proxy/core/a.py", "from proxy.upstream.pool import Pool"),
        ("proxy/core/a.py", "from proxy import build"),
        ("proxy/core/a.py", "from proxy.config.load import load"),
        ("proxy/config/a.py", "def f():\n    from proxy.core import life"),
        ("proxy/wire/a.py", "if TYPE_CHECKING:\n    from proxy.core.reply import Reply"),
        ("proxy/upstream/a.py", "import proxy.demo.chat"),
        ("proxy/core/a.py", "from . import life"),
    ],
)
def test_an_import_that_does_not_go_down_is_found(path: str, text: str) -> None:
    assert len(list(upward_imports(Source.of(path, text)))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("proxy/core/a.py", "import aiohttp.web"),
        ("proxy/server/a.py", "import orjson"),
        ("proxy/core/a.py", "from pydantic import BaseModel"),
        ("proxy/wire/a.py", "import socket"),
        ("proxy/base/a.py", "import a_library_nobody_agreed_on"),
    ],
)
def test_a_library_away_from_home_is_found(path: str, text: str) -> None:
    assert len(list(strangers(Source.of(path, text)))) == 1


def test_the_allowed_is_allowed() -> None:
    text = "import httptools, socket, os\nfrom proxy.core.ports import Answer\nimport proxy"
    source = Source.of("proxy/upstream/a.py", text)
    assert list(upward_imports(source)) + list(strangers(source)) == []
