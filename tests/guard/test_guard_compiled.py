"""What is compiled (pyproject.toml, docs/adr/0021-compiled.md) means the same as the Python it is.

mypyc 2.4 gets some things wrong, found here by running its results against CPython's: an exception
may be lost or raised twice where a `finally` or `except` awaits, it has no asynchronous generators,
and it makes floats of ints that are compared with floats, which decides a limit wrongly. Whatever
has such a place stays Python, or the place moves to a module that does. One thing it does slowly:
what a module names is looked up in a dict at each use, unless it is Final.
"""

import ast
import tomllib
from collections.abc import Iterable, Iterator
from typing import TypeGuard

import pytest

from tests.guard.source_tree import ROOT, Rule, Source, sources

_WAITS = ast.Await | ast.Yield | ast.YieldFrom | ast.AsyncFor | ast.AsyncWith
_HOOK = ("tool", "hatch", "build", "targets", "wheel", "hooks", "custom", "modules")
_EXACT = "proxy/stores/memory/"
_TIMES = frozenset(("at", "end", "now", "patience", "until", "rollover", "_", "__"))


def _compiled() -> list[str]:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for name in _HOOK:
        found = found[name]
    assert isinstance(found, list)
    return found


def _waits(nodes: Iterable[ast.AST]) -> bool:
    return any(isinstance(each, _WAITS) for node in nodes for each in ast.walk(node))


def waiting(source: Source) -> Iterator[str]:
    """Waits where mypyc loses track of exceptions."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Try(handlers=handlers, finalbody=last):
                if _waits(last) or any(_waits(each.body) for each in handlers):
                    yield f"{source.at(node)}: waits in `except` or `finally`"
            case ast.AsyncFor() | ast.AsyncWith():
                yield f"{source.at(node)}: `async for` or `async with`"
            case ast.With(body=body):
                if _waits(body):
                    yield f"{source.at(node)}: waits in `with`"
            case ast.comprehension(is_async=1):
                yield f"{source.path}: an asynchronous comprehension"
            case ast.AsyncFunctionDef(body=body):
                inner = (each for item in body for each in ast.walk(item))
                if any(isinstance(each, ast.Yield) for each in inner):
                    yield f"{source.at(node)}: an asynchronous generator"
            case _:
                pass


def structs(source: Source) -> Iterator[str]:
    """A msgspec.Struct reads the annotations of its class, which are gone once it is compiled."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef) and any("Struct" in ast.unparse(b) for b in node.bases):
            yield f"{source.at(node)}: {node.name} is a Struct"


def deciding(source: Source) -> Iterator[str]:
    """What decides about limits compares and adds exact ints: only times are floats, and nothing is
    infinite that is not a time."""
    if not source.path.startswith(_EXACT):
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.arg(arg=name, annotation=ast.Name(id="float")):
                real = name
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id="float")):
                real = name
            case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=ast.Name(id="float")):
                real = name
            case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
                real = name if _chooses_infinity(value) else "_"
            case ast.Return(value=value) if value is not None:
                real = "what is returned" if _chooses_infinity(value) else "_"
            case _:
                continue
        if real not in _TIMES:
            yield f"{source.at(node)}: `{real}` is a float"


def _chooses_infinity(value: ast.expr) -> bool:
    """Whether it is a number or, at times, infinity."""
    return isinstance(value, ast.IfExp) and any(
        isinstance(each, ast.Attribute) and each.attr == "inf"
        for each in (value.body, value.orelse)
    )


def _is_name(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)


def constants(source: Source) -> Iterator[str]:
    """What a module names once, in capitals, is Final: then it is no look-up."""
    for node in source.tree.body:
        match node:
            case ast.Assign(targets=targets):
                names = [each.id for at in targets for each in ast.walk(at) if _is_name(each)]
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind):
                names = [] if "Final" in ast.unparse(kind) else [name]
            case _:
                continue
        for name in names:
            if len(name.strip("_")) > 1 and name == name.upper():
                yield f"{source.at(node)}: `{name}` is not Final"


_RULES = [waiting, structs, deciding, constants]


@pytest.mark.parametrize("rule", _RULES)
def test_what_is_compiled_is_compiled_rightly(rule: Rule) -> None:
    every = {source.path: source for source in sources("proxy")}
    assert [said for path in _compiled() for said in rule(every[path])] == []


def test_each_is_named_once_and_in_order() -> None:
    assert _compiled() == sorted(set(_compiled()))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (waiting, "async def f():\n try:\n  pass\n finally:\n  await g()\n"),
        (waiting, "async def f():\n try:\n  pass\n except E:\n  await g()\n"),
        (waiting, "async def f():\n async with g():\n  pass\n"),
        (waiting, "async def f():\n async for a in g():\n  pass\n"),
        (waiting, "async def f():\n with g():\n  await h()\n"),
        (waiting, "async def f():\n return [a async for a in g()]\n"),
        (waiting, "async def f():\n yield 1\n"),
        (structs, "class A(msgspec.Struct, frozen=True):\n pass\n"),
        (deciding, "def f(limit: float):\n pass\n"),
        (deciding, "class A:\n def __init__(self):\n  self.left: float = 0\n"),
        (deciding, "limit: float = 0\n"),
        (deciding, "limit = n if hard else math.inf\n"),
        (deciding, "def f():\n return n if hard else math.inf\n"),
        (constants, "_LIMIT = 5\n"),
        (constants, "A_B, _C_D = range(2)\n"),
        (constants, "_LIMIT: int = 5\n"),
    ],
)
def test_the_rules_find_what_they_are_for(rule: Rule, text: str) -> None:
    assert list(rule(Source.of("proxy/stores/memory/x.py", text))) != []


@pytest.mark.parametrize("rule", _RULES)
def test_and_let_pass_what_is_right(rule: Rule) -> None:
    text = "async def f():\n try:\n  return await g()\n except E:\n  h()\n finally:\n  i()\n"
    text += "_LIMIT: Final = 5\nT = TypeVar()\ndef g(at: float, limit: int):\n return 1 / limit\n"
    assert list(rule(Source.of("proxy/stores/memory/x.py", text))) == []
