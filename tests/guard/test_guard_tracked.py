"""Nothing of the machine a file was written on is in it: no paths, no package registries, no keys.

The patterns are written so that they do not match themselves.
"""

import re
from pathlib import Path

import pytest

from tests.guard.source_tree import ROOT, project_files

_LARGEST = 512 * 1024
_PATTERNS = {
    "a path of somebody's machine": re.compile(
        r"(?<![\w.])/(?:ro[o]t|wor[k]|hom[e]/[a-z]\w*|User[s]/\w+)/|/op[t]/(?:pypi|wheels)"
    ),
    "a package registry": re.compile(
        r"pypi\.or[g]|pythonhosted\.or[g]|registry\.npmj[s]|(?:extra-)?inde[x]-url"
        r"|find-link[s]|ghcr\.i[o]|docker\.i[o]|quay\.i[o]",
        re.I,
    ),
    "a key": re.compile(
        r"-----BEGI[N] [A-Z ]*PRIVATE KEY|\bsk-(?:proj-)?[A-Za-z0-9]{40,}"
        r"|\bAKI[A](?!\w+EXAMPLE)[0-9A-Z]{16}"
    ),
}


def offences(path: str, text: str) -> list[str]:
    return [
        f"{path}:{number}: {what}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in _PATTERNS.items()
        if pattern.search(line)
    ]


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    found = [
        offence
        for path in project_files()
        for offence in offences(path.relative_to(ROOT).as_posix(), _text(path))
    ]
    assert found == []


def test_no_file_is_large() -> None:
    assert [str(path) for path in project_files() if path.stat().st_size > _LARGEST] == []


def test_constraints_are_names_and_versions_only() -> None:
    line = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+(; python_version [<>=]+ \"3\.\d+\")?")
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines
    assert [each for each in lines if line.fullmatch(each) is None] == []


@pytest.mark.parametrize(
    "line",
    [
        "cd /wor" + "k/main",
        "see /hom" + "e/ada/notes",
        "pip install --inde" + "x-url x",
        "https://pypi.or" + "g/simple",
        "-----BEGI" + "N RSA PRIVATE KEY-----",
    ],
)
def test_an_offence_is_found(line: str) -> None:
    assert len(offences("a.md", line)) == 1


def test_paths_in_a_container_and_urls_are_no_offence() -> None:
    assert offences("a.md", "/etc/llm-proxy/config.yaml https://host/works/items ./home/") == []
