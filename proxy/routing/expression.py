"""Expressions of rules, in CEL (Common Expression Language), through Google's own library.

Compiled and type-checked once, against the variables declared here; `metadata` alone is dynamic.
For a request only those that an expression names are worked out. It never raises for a missing
value but returns an error as a value: so only `True` holds. A key that `metadata` does not have
makes a condition that does not hold; any other error is the expression's own. The library stops
long loops. The package is an extra, so it is imported where the first expression is compiled.
"""

import difflib
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from proxy.routing.facts import Facts
from proxy.routing.rules_when import ExpressionFailed

_NAMES_OF_TYPES = {
    "model": "STRING",
    "task": "STRING",
    "user_tier": "STRING",
    "agent": "STRING",
    "team": "STRING",
    "key": "STRING",
    "language": "STRING",
    "prompt": "STRING",
    "operation": "STRING",
    "content_tokens": "INT",
    "contains_code": "BOOL",
    "contains_math": "BOOL",
    "tools": "BOOL",
    "stream": "BOOL",
}
_LISTS = ("tags", "modality")
_METADATA = "metadata"
VARIABLES = (*_NAMES_OF_TYPES, *_LISTS, _METADATA)
"""What an expression may name. What a request does not have is an empty text."""

_VALUES: dict[str, Callable[[Facts], object]] = {
    "operation": lambda facts: facts.operation.name,
    "tags": lambda facts: list(facts.tags),
    "modality": lambda facts: sorted(facts.modality),
    "metadata": lambda facts: dict(facts.metadata),
}
_LONGEST_MESSAGE = 300
_AT = re.compile(r"<input>:(\d+):(\d+): (.*)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_UNDECLARED = re.compile(r"undeclared reference to '(\w+)'")
_NO_KEY = "NOT_FOUND: Key not found in map"
_KIND = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")


class ExpressionError(ValueError):
    """An expression that cannot be used, and where in it, counted from 1."""

    def __init__(self, reason: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column


class CelMissing(RuntimeError):
    """Expressions are used and their library is not installed."""


def load_cel() -> ModuleType:
    """The library. Raises CelMissing."""
    try:
        from cel_expr_python import cel  # noqa: PLC0415 - an extra may be missing.
    except ImportError as error:
        raise CelMissing("`expression` in rules needs CEL: pip install 'llm-proxy[cel]'") from error
    module: ModuleType = cel
    return module


class Compiled:
    """An Expression: one that may be asked of any number of requests."""

    __slots__ = ("_activation", "_eval", "_names", "text")

    def __init__(self, text: str, program: Any, activation: Callable[[Any], Any]) -> None:
        self.text = text
        self._eval = program.eval
        self._activation = activation
        named = set(_NAME.findall(text))
        self._names = tuple(name for name in VARIABLES if name in named)

    def holds(self, facts: Facts, /) -> bool:
        """Raises ExpressionFailed."""
        names = self._names
        try:
            bound = facts.kept.get(names)
            if bound is None:
                # Expressions that name the same variables share it.
                bound = facts.kept[names] = self._activation(_values(names, facts))
            answer = self._eval(bound)
            value = answer.value()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise ExpressionFailed(_plain(str(error))) from None
        if value is True or value is False:
            return value is True
        reason = value if isinstance(value, str) else ""
        if answer.type().name() == "ERROR" and reason.startswith(_NO_KEY):
            return False
        if answer.type().name() in {"ERROR", "UNKNOWN"}:
            raise ExpressionFailed(_plain(reason))
        raise ExpressionFailed(f"it is a {answer.type().name()} here, not true or false")


class Expressions:
    """Compiles expressions."""

    __slots__ = ("_env", "_types")

    def __init__(self, load: Callable[[], ModuleType] = load_cel) -> None:
        """Raises CelMissing."""
        cel = load()
        self._types = cel.Type
        variables = {name: getattr(cel.Type, each) for name, each in _NAMES_OF_TYPES.items()}
        variables |= {name: cel.Type.List(cel.Type.STRING) for name in _LISTS}
        variables[_METADATA] = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
        self._env = cel.NewEnv(variables=variables)

    def compile(self, text: str) -> Compiled:
        """Raises ExpressionError."""
        if not text.strip():
            raise ExpressionError("it is empty")
        try:
            program = self._env.compile(text)
        except RuntimeError as error:
            raise _error(str(error)) from None
        kind = program.return_type()
        if kind not in (self._types.BOOL, self._types.DYN):
            raise ExpressionError(f"it must be true or false, and is {kind.name()}")
        return Compiled(text, program, self._env.Activation)


def _values(names: tuple[str, ...], facts: Facts) -> dict[str, object]:
    values: dict[str, object] = {}
    for name in names:
        read = _VALUES.get(name)
        value = getattr(facts, name) if read is None else read(facts)
        values[name] = "" if value is None else value
    return values


def _error(message: str) -> ExpressionError:
    found = _AT.search(message)
    if found is None:
        return ExpressionError(_plain(message))
    reason = _plain(found[3].partition(" (in container")[0].partition(" expecting ")[0])
    unknown = _UNDECLARED.search(reason)
    if unknown is not None:
        near = difflib.get_close_matches(unknown[1], VARIABLES, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(VARIABLES)}"
        reason = f"`{unknown[1]}` is not known here; {hint}"
    return ExpressionError(reason, int(found[1]), int(found[2]))


def _plain(message: str) -> str:
    first = message.strip().partition("\n")[0]
    return _KIND.sub("", first)[:_LONGEST_MESSAGE]
