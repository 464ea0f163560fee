"""Links between the documents lead somewhere, and what they name of the tree is there."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.guard.source_tree import ROOT, project_files

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```", re.S)
_NAMED = re.compile(r"`((?:proxy|tests|docs|bench|changes)/[\w./-]+)`")


def _documents() -> list[Path]:
    return [path for path in project_files() if path.suffix == ".md"]


def broken(path: Path, text: str) -> Iterator[str]:
    """Relative links without a target, and links to headings that are not there."""
    for link in _LINK.findall(_CODE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, heading = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists():
            yield f"{path.relative_to(ROOT)}: {link}"
        elif heading and heading not in _headings(target.read_text()):
            yield f"{path.relative_to(ROOT)}: no heading {link}"


def _headings(text: str) -> set[str]:
    lines = re.findall(r"^#+ (.*)$", _CODE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def test_every_link_leads_somewhere() -> None:
    assert [each for path in _documents() for each in broken(path, path.read_text())] == []


def test_every_file_that_is_named_is_there() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _documents()
        for name in _NAMED.findall(path.read_text())
        if not (ROOT / name).exists()
    ]
    assert missing == []


def test_a_broken_link_is_found() -> None:
    text = "[a](no-such-file.md) [b](#no-such-heading) [c](https://host/x) ![d](index.md)\n# Here\n"
    assert len(list(broken(ROOT / "docs/index.md", text))) == 2
