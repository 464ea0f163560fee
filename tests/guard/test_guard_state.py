"""No module holds changing state: it lives in objects that the composition root makes.

A module may hold constants. What can change may not have a constant's place under a variable's
name, and what has a constant's name may not be changed by the code of its module.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.guard.source_tree import Rule, Source, sources

_MUTABLE_CALLS = re.compile(
    r"(?:.*\.)?(?:list|dict|set|bytearray|deque|defaultdict|Counter|OrderedDict|Lock|Event|Semaphore"
    r"|Queue|ContextVar|local|count|cycle|iter)"
)
_CHANGES = re.compile(
    r"append(?:left)?|add|clear|discard|extend|insert|pop(?:item|left)?|remove|reverse|setdefault"
    r"|sort|update|put|set"
)


def _module_level(source: Source) -> Iterator[tuple[str, ast.expr, ast.stmt]]:
    for statement in source.tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value, statement
        elif (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value is not None
        ):
            yield statement.target.id, statement.value, statement


def _is_mutable(value: ast.expr) -> bool:
    match value:
        case ast.List() | ast.Dict() | ast.Set() | ast.ListComp() | ast.DictComp() | ast.SetComp():
            return True
        case ast.Call(func=func):
            return _MUTABLE_CALLS.fullmatch(ast.unparse(func)) is not None
        case _:
            return False


def variables(source: Source) -> Iterator[str]:
    """Collections and the like at module level under the name of a variable."""
    for name, value, statement in _module_level(source):
        if not name.isupper() and not name.startswith("__") and _is_mutable(value):
            yield f"{source.at(statement)}: `{name}` is state of a module"


def changed_constants(source: Source) -> Iterator[str]:
    """Collections at module level that some function of the module changes."""
    kept = {name for name, value, _ in _module_level(source) if _is_mutable(value)}
    for function in ast.walk(source.tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        local = _local_names(function)
        for node in ast.walk(function):
            name = _changed_name(node)
            if name in kept - local:
                yield f"{source.at(node)}: `{name}` is changed after the import"


def _local_names(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    given = function.args
    arguments = {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    return arguments | {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _changed_name(node: ast.AST) -> str | None:
    match node:
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            return name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)):
            return name if _CHANGES.fullmatch(attribute) else None
        case _:
            return None


@pytest.mark.parametrize("rule", [variables, changed_constants])
def test_no_module_holds_state(rule: Rule) -> None:
    assert [offence for source in sources("proxy") for offence in rule(source)] == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (variables, "seen = []"),
        (variables, "seen: dict[str, int] = {}"),
        (variables, "_waiting = collections.deque()"),
        (variables, "lock = asyncio.Lock()"),
        (changed_constants, "SEEN = {}\ndef f(k):\n    SEEN[k] = 1"),
        (changed_constants, "SEEN = set()\ndef f(k):\n    SEEN.add(k)"),
    ],
)
def test_state_is_found(rule: Rule, text: str) -> None:
    assert len(list(rule(Source.of("proxy/core/a.py", text)))) == 1


def test_constants_are_no_state() -> None:
    text = "NAMES = {'a': 1}\n__all__ = ['f']\nseen = ('a',)\ndef f(NAMES):\n    NAMES['b'] = 2"
    source = Source.of("proxy/core/a.py", text)
    assert list(variables(source)) + list(changed_constants(source)) == []
