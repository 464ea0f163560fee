"""What the documents say is what the code does: the order of things, error codes, commands."""

import ast
import re
import subprocess

import pytest

from proxy.build.order import BUILT, BUILT_PER_ATTEMPT
from proxy.build.plan import describe
from proxy.config.load import load
from proxy.core.order import ONCE_PER_ATTEMPT, ONCE_PER_REQUEST
from tests.guard.source_tree import ROOT, sources

LISTS = {"Once per request": ONCE_PER_REQUEST, "Once per attempt": ONCE_PER_ATTEMPT}
BUILT_STEPS = {*BUILT, *BUILT_PER_ATTEMPT}


def _read(path: str) -> str:
    return (ROOT / path).read_text()


def _section(text: str, heading: str) -> str:
    return text.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def _as_written(order: tuple[str, ...]) -> list[tuple[str, bool, str]]:
    """Name, whether it is built, and the comment that core/order.py gives it."""
    source = _read("proxy/core/order.py")
    steps = []
    for name in order:
        comment = re.search(rf'^ +"{name}",(?:  # (.*))?$', source, re.M)
        assert comment is not None
        steps.append((name, name in BUILT_STEPS, comment[1] or ""))
    return steps


@pytest.mark.parametrize("heading", LISTS)
def test_the_documented_order_is_that_of_the_code(heading: str) -> None:
    section = _section(_read("docs/life-of-a-request.md"), heading)
    lines = re.findall(r"^(\d+)\. `([a-z ]+)`( ○)?(?: (.*))?$", section, re.M)
    assert [int(number) for number, *_ in lines] == list(range(1, len(lines) + 1))
    assert [(name, not place, words) for _, name, place, words in lines] == _as_written(
        LISTS[heading]
    )


@pytest.mark.parametrize("heading", LISTS)
def test_the_picture_has_the_order_of_the_code(heading: str) -> None:
    picture = _read("docs/life-of-a-request.svg")
    group = picture.partition(f'<g id="{heading.lower().replace(" ", "-")}">')[2]
    group = group.partition("\n  </g>")[0]
    drawn = re.findall(r'<g class="(built|place)"><rect [^>]*/><text [^>]*>([a-z ]+)</text>', group)
    assert [(name, kind == "built") for kind, name in drawn] == [
        (name, built) for name, built, _ in _as_written(LISTS[heading])
    ]


@pytest.mark.parametrize("heading", LISTS)
def test_check_prints_the_order_of_the_code(heading: str) -> None:
    printed = describe(load(ROOT / "config.example.yaml", env={}).settings)
    steps = printed[printed.index(heading.lower()) + 1].strip().split(" → ")
    assert steps == [
        name if built else f"[{name}]" for name, built, _ in _as_written(LISTS[heading])
    ]


def _codes() -> set[str]:
    """Every error code that some file of the program gives."""
    found: set[str] = set()
    for source in (
        sources("proxy/base", "proxy/wire", "proxy/core", "proxy/middleware")
        + sources(
            "proxy/providers", "proxy/server", "proxy/upstream", "proxy/limits", "proxy/stores"
        )
        + sources("proxy/routing")
    ):
        for node in ast.walk(source.tree):
            match node:
                case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                    found.add(code)
                case (
                    ast.Assign(
                        targets=[ast.Name(id="default_code")], value=ast.Constant(value=str(code))
                    )
                    | ast.AnnAssign(
                        target=ast.Name(id="default_code"), value=ast.Constant(value=str(code))
                    )
                ):
                    found.add(code)
                case _:
                    continue
    return found


def test_every_error_code_is_documented() -> None:
    table = _section(_read("docs/wire.md"), "Errors")
    rows = [line.split("|")[3] for line in table.splitlines() if re.match(r"\| \d{3} ", line)]
    documented = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    general = {"upstream_error", "not_found", "access_denied"}
    assert documented == _codes() - general


def _commands() -> list[str]:
    return re.findall(r"^python3 -m venv .*$", _read("README.md"), re.M)


def test_the_readme_has_two_commands_and_ci_runs_them() -> None:
    serve, test = _commands()
    for kind, command in {"serve": serve, "test": test}.items():
        said = subprocess.run(
            (str(ROOT / ".ci/run"), "readme", kind), capture_output=True, text=True, check=True
        )
        assert said.stdout == f"{command}\n"
    script = _read(".ci/run")
    assert "test_command=$(readme test)" in script
    assert script.rstrip().endswith('bash -c "$test_command"')


def test_the_commands_need_nothing_but_python() -> None:
    serve, test = _commands()
    install = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt "
    assert (
        serve == install + "'.[embedded]' && .venv/bin/llm-proxy serve --config config.example.yaml"
    )
    assert test == install + "-e '.[test]' && .venv/bin/pytest"


def test_every_decision_is_one_page_with_its_parts() -> None:
    folder = ROOT / "docs/adr"
    index = (folder / "README.md").read_text()
    decisions = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert [path.name[:4] for path in decisions] == [f"{n + 1:04}" for n in range(len(decisions))]
    for path in decisions:
        text = path.read_text()
        assert text.startswith(f"# {path.name[:4]}: "), path
        assert path.name in index, path
        assert all(f"\n**{part}.** " in text for part in ("Context", "Decision", "Consequences"))
        assert len(text.splitlines()) <= 60, path


def test_every_fragment_has_an_id_and_a_kind() -> None:
    kinds = "feature|bugfix|security|doc|removal|misc"
    names = [path.name for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    assert [name for name in names if re.fullmatch(rf"\d+\.(?:{kinds})\.md", name) is None] == []
