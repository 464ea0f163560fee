"""The files of this project and their syntax trees: what the guard tests look at.

Rules are plain functions from a file to its offences, so that each can be shown a bad example: a
guard that cannot fail guards nothing.
"""

import ast
import gc
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "proxy"


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its path from the root, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> "Source":
        return cls(path, text, ast.parse(text))

    @property
    def module(self) -> str:
        """The dotted name that imports it."""
        parts = Path(self.path).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def at(self, node: ast.AST) -> str:
        """The place of a node, as editors understand it."""
        return f"{self.path}:{getattr(node, 'lineno', 0)}"


Rule = Callable[[Source], Iterator[str]]
"""From a file to its offences, each with its place."""


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Every Python file below the folders, by path."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    gc.disable()  # Trees are many objects and no garbage: looking for it outlasts parsing.
    try:
        return tuple(_source(path) for path in sorted(found))
    finally:
        gc.enable()


@cache
def _source(path: Path) -> Source:
    return Source.of(path.relative_to(ROOT).as_posix(), path.read_text())


def everything() -> tuple[Source, ...]:
    """All Python files of the project."""
    return sources("proxy", "tests", "bench", "plugins")


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that is or would be committed; without git, every file that is not hidden."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        return tuple(path for name in listed.split("\0") if (path := ROOT / name).is_file())
    return tuple(_visible(ROOT))


def _visible(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir():
            yield from _visible(path)
        else:
            yield path


def imports(source: Source) -> Iterator[tuple[str, ast.stmt]]:
    """Dotted names of all that a file imports, wherever in the file, types included."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base, node
            if node.module == "proxy":
                for alias in node.names:
                    yield f"proxy.{alias.name}", node
