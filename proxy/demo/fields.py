"""Reads the fields of a JSON request and refuses wrong ones as OpenAI does, naming the parameter.

Fields nobody asks for are never looked at: unknown ones are ignored. A field that is null counts
as absent. Messages and codes follow OpenAI's (`missing_required_parameter`, `invalid_type`, ...).
"""

from typing import Any

from proxy.base import jsonio
from proxy.demo.content import Refusal, Request

_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
    type(None): "null",
}

_MAX_DEPTH = 100


class Fields:
    """The fields of one JSON object, and the path at which it stands in the request."""

    __slots__ = ("_at", "_values")

    def __init__(self, values: dict[str, Any], at: str = "") -> None:
        self._values = values
        self._at = at

    def get(self, name: str) -> Any:
        """The value, unchecked; None when absent."""
        return self._values.get(name)

    def path(self, name: str) -> str:
        return f"{self._at}.{name}" if self._at else name

    def needed(self, name: str) -> Any:
        """The value, unchecked, of a field that must be there."""
        if (value := self._values.get(name)) is None:
            raise missing(self.path(name))
        return value

    def text(self, name: str) -> str:
        """A string that must be there."""
        return self._string(name, self.needed(name))

    def text_or(self, name: str, default: str) -> str:
        """A string, or `default` when absent."""
        value = self._values.get(name)
        return default if value is None else self._string(name, value)

    def flag(self, name: str) -> bool:
        """A boolean; False when absent."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise mistyped(self.path(name), "a boolean", value)
        return bool(value)

    def whole(self, name: str, least: int, most: int) -> int | None:
        """An integer in `least..most`; None when absent."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise mistyped(self.path(name), "an integer", value)
        if not least <= value <= most:
            raise Refusal(
                f"Invalid '{self.path(name)}': expected a value from {least} to {most}, "
                f"but got {value} instead.",
                param=self.path(name),
                code="integer_below_min_value" if value < least else "integer_above_max_value",
            )
        return value

    def items(self, name: str, most: int) -> list[Any] | None:
        """An array of at most `most` elements, those unchecked; None when absent."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise mistyped(self.path(name), "an array", value)
        if len(value) > most:
            raise Refusal(
                f"Invalid '{self.path(name)}': array too long. Expected an array with maximum "
                f"length {most}, but got an array with length {len(value)} instead.",
                param=self.path(name),
                code="array_above_max_length",
            )
        return value

    def inner(self, name: str) -> "Fields | None":
        """The fields of an object inside; None when absent."""
        value = self._values.get(name)
        return None if value is None else fields_of(value, self.path(name))

    def _string(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise mistyped(self.path(name), "a string", value)
        return value


def fields_of(value: Any, at: str) -> Fields:
    """`value`, which must be an object, as Fields."""
    if not isinstance(value, dict):
        raise mistyped(at, "an object", value)
    return Fields(value, at)


def parsed(request: Request) -> Fields:
    """The body of a JSON request."""
    try:
        value = jsonio.loads(request.body)
    except jsonio.JSONError as error:
        raise Refusal(f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(value, dict):
        raise Refusal(f"The body must be a JSON object, but it is {_called(value)}.")
    _refuse_deep(value)
    return Fields(value)


def _refuse_deep(value: Any) -> None:
    """Deep nesting would break encoders and recursive readers behind this point."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for node in level for inner in _children(node)]
        if not level:
            return
    raise Refusal(f"The JSON body is nested more than {_MAX_DEPTH} levels deep.")


def _children(node: Any) -> list[Any]:
    """The containers directly inside a container."""
    inner = node.values() if isinstance(node, dict) else node
    return [value for value in inner if isinstance(value, dict | list)]


def missing(param: str) -> Refusal:
    return Refusal(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def mistyped(param: str, expected: str, value: Any) -> Refusal:
    return Refusal(
        f"Invalid type for '{param}': expected {expected}, but got {_called(value)} instead.",
        param=param,
        code="invalid_type",
    )


def unsupported(param: str, value: str, known: str) -> Refusal:
    return Refusal(
        f"Invalid value: '{value[:60]}'. The demo vendor supports: {known}.",
        param=param,
        code="unsupported_value",
    )


def _called(value: Any) -> str:
    return _NAMES.get(type(value), "something else")
