"""What no file may hold: unfinished work, skipped tests, silenced checkers, swallowed errors.

The lint rules of pyproject.toml ban calls; here stands what they cannot say. Comments are read by
the tokeniser and code as a tree, so that a word in a string (such as below) is no offence.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from tests.guard.source_tree import ROOT, Rule, Source, everything, sources

_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
_SILENCED = re.compile(r"#\s*type:\s*ignore(?!\[[a-z, -]+\])|#\s*noqa(?!: [A-Z]+[0-9]+)", re.I)
_WIDE = frozenset(("Exception", "BaseException"))


def comments(source: Source) -> Iterator[str]:
    """Comments that promise work or silence a checker without saying which rule."""
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type != tokenize.COMMENT:
            continue
        place = f"{source.path}:{token.start[0]}"
        if _UNFINISHED.search(token.string):
            yield f"{place}: finish it or write an issue"
        if _SILENCED.search(token.string):
            yield f"{place}: name the rule that is silenced"


def docstrings(source: Source) -> Iterator[str]:
    """Docstrings that promise work."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None and _UNFINISHED.search(text):
                yield f"{source.at(node)}: finish it or write an issue"


def names(source: Source) -> Iterator[str]:
    """Stubs, patched internals, and tests that would not run."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Name(id="NotImplementedError"):
                yield f"{source.at(node)}: build it, or leave it out"
            case ast.Attribute(attr="skip" | "skipif" | "xfail" | "importorskip"):
                root = ast.unparse(node.value)
                if root in {"pytest", "pytest.mark", "mark"}:
                    yield f"{source.at(node)}: a test runs, everywhere"
            case (
                ast.ImportFrom(module="unittest.mock")
                | ast.Import(names=[ast.alias(name="unittest.mock")])
            ):
                yield f"{source.at(node)}: use a fake on a real socket"
            case ast.Global():
                yield f"{source.at(node)}: state lives in objects"
            case _:
                continue


def swallowed(source: Source) -> Iterator[str]:
    """Handlers that catch everything and do nothing, and bare ones."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield f"{source.at(node)}: say what is caught"
            elif _is_wide(node.type) and all(_does_nothing(each) for each in node.body):
                yield f"{source.at(node)}: an error is swallowed"
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in {"suppress", "contextlib.suppress"}
            and any(_is_wide(each) for each in node.args)
        ):
            yield f"{source.at(node)}: an error is swallowed"


def silent(source: Source) -> Iterator[str]:
    """In the program, an error that is passed over, however narrow, has a comment with the why."""
    lines = source.text.splitlines()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and all(_does_nothing(e) for e in node.body):
            written = lines[node.lineno - 1 : node.body[-1].end_lineno]
            if not any("#" in line for line in written):
                yield f"{source.at(node)}: say why nothing is to be done"


def _is_wide(kind: ast.expr) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(isinstance(each, ast.Name) and each.id in _WIDE for each in kinds)


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Continue() | ast.Expr(value=ast.Constant()):
            return True
        case _:
            return False


RULES = (comments, docstrings, names, swallowed)


@pytest.mark.parametrize("rule", RULES)
def test_no_file_breaks_the_rule(rule: Rule) -> None:
    assert [offence for source in everything() for offence in rule(source)] == []


def test_no_error_passes_in_silence_in_the_program() -> None:
    assert [offence for source in sources("proxy") for offence in silent(source)] == []


def test_lint_exempts_nothing_of_the_program() -> None:
    lint = (ROOT / "pyproject.toml").read_text()
    section = lint.partition("[tool.ruff.lint.per-file-ignores]")[2].partition("\n[")[0]
    assert [line for line in section.splitlines() if line.startswith('"proxy')] == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (comments, "x = 1  # TODO later"),
        (comments, "x = 1  # type: ignore"),
        (comments, "x = 1  # noqa"),
        (docstrings, 'def f():\n    """FIXME"""'),
        (names, "raise NotImplementedError"),
        (names, "import pytest\npytest.skip('later')"),
        (names, "import pytest\n@pytest.mark.skipif(True)\ndef test(): ..."),
        (names, "from unittest.mock import patch"),
        (names, "def f():\n    global x"),
        (swallowed, "try:\n    f()\nexcept:\n    g()"),
        (swallowed, "try:\n    f()\nexcept Exception:\n    pass"),
        (swallowed, "with suppress(BaseException):\n    f()"),
        (silent, "try:\n    f()\nexcept OSError:\n    pass"),
    ],
)
def test_an_offence_is_found(rule: Rule, text: str) -> None:
    assert len(list(rule(Source.of("proxy/core/a.py", text)))) == 1


def test_words_in_strings_and_named_rules_are_no_offence() -> None:
    text = 'x = "TODO"  # type: ignore[assignment]\ny = 1  # noqa: S105 - a name.\n'
    source = Source.of("proxy/core/a.py", text)
    assert [offence for rule in RULES for offence in rule(source)] == []
