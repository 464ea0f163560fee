"""Small files with one purpose: over 500 lines fails, the mean stays under 200, each says why it
is there."""

import ast
from collections.abc import Iterator
from statistics import mean

import pytest

from tests.guard.source_tree import Source, everything, sources

LONGEST = 500
MEAN = 200
VAGUE = frozenset(("utils", "util", "helpers", "helper", "common", "misc", "manager", "tools_"))


def shape(source: Source) -> Iterator[str]:
    """Too long, without a docstring, or named after nothing."""
    lines = source.text.count("\n")
    if lines > LONGEST:
        yield f"{source.path}: {lines} lines; split it by purpose"
    if source.text.strip() and ast.get_docstring(source.tree) is None:
        yield f"{source.path}:1: says nothing about its role"
    if VAGUE & set(source.module.rpartition(".")[2].split("_")):
        yield f"{source.path}: this name explains nothing"


def test_every_file_is_small_and_says_what_it_is() -> None:
    assert [offence for source in everything() for offence in shape(source)] == []


@pytest.mark.parametrize("folder", ["proxy", "tests", "bench"])
def test_the_mean_is_small(folder: str) -> None:
    assert mean(source.text.count("\n") for source in sources(folder)) < MEAN


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("proxy/core/a.py", '"""A."""\n' + "x = 1\n" * LONGEST),
        ("proxy/core/a.py", "x = 1\n"),
        ("proxy/core/text_utils.py", '"""A."""\n'),
    ],
)
def test_a_bad_shape_is_found(path: str, text: str) -> None:
    assert len(list(shape(Source.of(path, text)))) == 1
