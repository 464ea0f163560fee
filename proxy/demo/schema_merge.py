"""Two JSON schemas as one that means both, and the type that a schema stands for."""

from typing import Any

from proxy.demo.scalars import Unfit

_HINTS = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
}
_LARGER = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_SMALLER = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})


def both(one: Any, other: Any) -> dict[str, Any]:
    """A schema that allows what `one` and `other` allow."""
    first, second = _as_object(one), _as_object(other)
    made = dict(first)
    for key, value in second.items():
        made[key] = _joined(key, first[key], value) if key in first else value
    return made


def kind_of(schema: dict[str, Any]) -> str:
    """The JSON type to make: the declared one, or what the other words hint at."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return declared
    if isinstance(declared, list) and declared:
        real = [kind for kind in declared if isinstance(kind, str) and kind != "null"]
        return real[0] if real else "null"
    return next((kind for word, kind in _HINTS.items() if word in schema), "string")


def _as_object(schema: Any) -> dict[str, Any]:
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise Unfit("a schema must be an object or true")
    return schema


def _joined(key: str, one: Any, other: Any) -> Any:
    """What one word means when it is said twice."""
    if one == other:
        return one
    match key:
        case "properties" if isinstance(one, dict) and isinstance(other, dict):
            shared = {name: {"allOf": [one[name], other[name]]} for name in one if name in other}
            return one | other | shared
        case "required" if isinstance(one, list) and isinstance(other, list):
            return [*one, *(name for name in other if name not in one)]
        case "enum" if isinstance(one, list) and isinstance(other, list):
            return [value for value in one if value in other]
        case "const":
            raise Unfit("two constants contradict each other")
        case "type":
            return _common_types(one, other)
        case "items":
            return {"allOf": [one, other]}
        case "allOf" if isinstance(one, list) and isinstance(other, list):
            return one + other
    return _narrower(key, one, other)


def _narrower(key: str, one: Any, other: Any) -> Any:
    if isinstance(one, int | float) and isinstance(other, int | float):
        if key in _LARGER:
            return max(one, other)
        if key in _SMALLER:
            return min(one, other)
    return other


def _common_types(one: Any, other: Any) -> list[Any]:
    first = one if isinstance(one, list) else [one]
    second = other if isinstance(other, list) else [other]
    shared = [kind for kind in first if kind in second]
    if not shared and {"integer", "number"} <= {*first, *second}:
        return ["integer"]
    if not shared:
        raise Unfit("the types contradict each other")
    return shared
