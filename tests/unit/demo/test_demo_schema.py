"""Values for JSON schemas: each fits, as a small validator written here says."""

import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.base import jsonio
from proxy.demo.scalars import Unfit
from proxy.demo.schema import fitting
from tests.examples import examples

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": int | float,
    "integer": int,
}
_FORMS = {"date": r"\d{4}-\d\d-\d\d", "email": r"[^@]+@[^@]+", "uuid": r"[0-9a-f-]{36}"}


def valid(value: Any, schema: Any, root: Any) -> bool:
    """Whether `value` fits `schema`: the words that `fitting` says it understands."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].split("/")[1:]:
            target = target[step]
        if not valid(value, target, root):
            return False
    checks = [
        "const" not in schema or value == schema["const"],
        "enum" not in schema or value in schema["enum"],
        all(valid(value, part, root) for part in schema.get("allOf", [])),
        "anyOf" not in schema or any(valid(value, part, root) for part in schema["anyOf"]),
        _type_fits(value, schema.get("type")),
    ]
    if isinstance(value, dict):
        checks.append(_object_fits(value, schema, root))
    elif isinstance(value, list):
        checks.append(_array_fits(value, schema, root))
    elif isinstance(value, str):
        checks.append(_string_fits(value, schema))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        checks.append(_number_fits(value, schema))
    return all(checks)


def _type_fits(value: Any, declared: Any) -> bool:
    if declared is None:
        return True
    kinds = declared if isinstance(declared, list) else [declared]
    return any(
        isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
    )


def _object_fits(value: dict[str, Any], schema: Any, root: Any) -> bool:
    properties = schema.get("properties", {})
    more = schema.get("additionalProperties", True)
    return (
        all(name in value for name in schema.get("required", []))
        and all(valid(inner, properties.get(name, more), root) for name, inner in value.items())
        and schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 1000)
    )


def _array_fits(value: list[Any], schema: Any, root: Any) -> bool:
    places = schema.get("prefixItems", [])
    inners = [*places, *[schema.get("items", True)] * len(value)]
    return (
        schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1000)
        and all(valid(item, inner, root) for item, inner in zip(value, inners, strict=False))
        and not (schema.get("uniqueItems") and any(value.count(item) > 1 for item in value))
    )


def _string_fits(value: str, schema: Any) -> bool:
    form = _FORMS.get(schema.get("format", ""), ".*")
    least, most = schema.get("minLength", 0), schema.get("maxLength", 100_000)
    return least <= len(value) <= most and re.fullmatch(form, value, re.DOTALL) is not None


def _number_fits(value: float, schema: Any) -> bool:
    exact = Fraction(str(value))
    return (
        ("minimum" not in schema or value >= schema["minimum"])
        and ("maximum" not in schema or value <= schema["maximum"])
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and (
            "multipleOf" not in schema
            or (exact / Fraction(str(schema["multipleOf"]))).denominator == 1
        )
    )


NAMES = st.sampled_from(["city", "unit", "note_text", "ok"])


@st.composite
def scalars(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["string", "integer", "number", "boolean", "null", "none"]))
    if kind == "string":
        least = draw(st.integers(0, 9))
        form = draw(st.sampled_from([{}, {}, {"format": "date"}, {"format": "email"}]))
        return {"type": "string", **(form or {"minLength": least, "maxLength": least + 5})}
    if kind in {"integer", "number"}:
        low = draw(st.integers(-20, 20))
        return {"type": kind} | draw(
            st.sampled_from(
                [
                    {},
                    {"minimum": low},
                    {"maximum": low},
                    {"exclusiveMinimum": low, "maximum": low + 1},
                    {"minimum": low, "exclusiveMaximum": low + 1},
                    {"minimum": low, "maximum": low + 9, "multipleOf": 5},
                    {"exclusiveMaximum": low, "multipleOf": 3},
                    {"minimum": low, "multipleOf": 0.5},
                ]
            )
        )
    return {"type": kind} if kind != "none" else {}


def nests(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    objects = st.builds(
        lambda properties, required, closed: {
            "type": "object",
            "properties": properties,
            "required": [name for name in required if name in properties or not closed],
            "additionalProperties": not closed,
        },
        st.dictionaries(NAMES, inner, max_size=3),
        st.lists(NAMES, unique=True),
        st.booleans(),
    )
    arrays = st.builds(
        lambda items, least, more: {
            "type": "array",
            "items": items,
            "minItems": least,
            "maxItems": least + more,
        },
        inner,
        st.integers(0, 3),
        st.integers(0, 2),
    )
    choices = st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3))
    merged = st.builds(lambda one: {"allOf": [one, {"description": "x"}]}, inner)
    enums = st.builds(
        lambda values: {"enum": values},
        st.lists(
            st.one_of(st.integers(-(2**63), 2**63), st.text(max_size=4), st.none()), min_size=1
        ),
    )
    constants = st.builds(lambda value: {"const": value}, st.one_of(st.booleans(), st.text()))
    references = st.just({"$ref": "#/$defs/node"})
    return st.one_of(objects, arrays, choices, merged, enums, constants, references)


SCHEMAS = st.recursive(scalars(), nests, max_leaves=8)
NODE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
    "required": ["name"],
}


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS)
def test_values_fit_random_schemas(schema: dict[str, Any]) -> None:
    root = {**schema, "$defs": {"node": NODE}}
    value = fitting(root)
    assert valid(value, root, root), value
    assert jsonio.loads(jsonio.dumps(value)) == value
    assert fitting(root) == value


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["null", "integer"], "minimum": 4},
        {"properties": {"a": {"minimum": 4}}, "required": ["a", "b"]},
        {"type": "array", "items": {"type": "string"}, "minItems": 4, "uniqueItems": True},
        {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"const": "x"}], "minItems": 2},
        {"type": "object", "minProperties": 3, "additionalProperties": {"type": "integer"}},
        {
            "type": "object",
            "properties": {"a": {}, "b": {}, "c": {}},
            "required": ["b"],
            "maxProperties": 2,
        },
        {"allOf": [{"type": "integer", "minimum": 1}, {"type": "number", "minimum": 7}]},
        {
            "type": "object",
            "properties": {"kind": {"type": "string"}},
            "anyOf": [{"properties": {"kind": {"const": "b"}}, "required": ["kind"]}],
        },
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "null"}}},
        {
            "$ref": "#/$defs/tree",
            "$defs": {
                "tree": {
                    "type": "object",
                    "properties": {
                        "left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
                        "all": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                    },
                    "required": ["left", "all"],
                    "additionalProperties": False,
                }
            },
        },
        {"type": "number", "multipleOf": 0.1, "minimum": 0.25},
        {"type": "integer", "minimum": -1e308, "maximum": 1e308},
        True,
        {},
    ],
)
def test_values_fit_particular_schemas(schema: Any) -> None:
    value = fitting(schema)
    assert valid(value, schema, schema), value


@pytest.mark.parametrize(
    "schema",
    [
        False,
        1,
        {"$ref": "#"},
        {"$ref": "#/$defs/no"},
        {"$ref": "https://example.com/x"},
        {"enum": []},
        {"anyOf": []},
        {"anyOf": [False, {"$ref": "#"}]},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 5},
        {"type": "integer", "minimum": 1e300},
        {"type": "number", "exclusiveMinimum": 1, "maximum": 1},
        {"type": "string", "minLength": 10**9},
        {"type": "array", "minItems": 10**9},
        {"type": "array", "minItems": 3, "maxItems": 2},
        {"type": "array", "items": {"const": 1}, "minItems": 2, "uniqueItems": True},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"allOf": [{"type": "string"}, {"type": "null"}]},
        {"allOf": [{"const": 1}, {"const": 2}]},
        {"type": "object", "properties": []},
        {"type": "integer", "multipleOf": 0},
    ],
)
def test_schemas_without_a_value_are_refused(schema: Any) -> None:
    with pytest.raises(Unfit):
        fitting(schema)


def test_a_search_that_would_never_end_is_given_up() -> None:
    names = [f"n{i}" for i in range(12)]
    needs = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    node = {"type": "object", "properties": needs, "required": names}
    with pytest.raises(Unfit):
        fitting({"$ref": "#/$defs/n0", "$defs": dict.fromkeys(names, node)})
    wide = {"type": "array", "minItems": 99, "items": {"$ref": "#/$defs/b"}}
    defs = {
        "a": wide,
        "b": {"type": "array", "minItems": 99, "items": {"$ref": "#/$defs/c"}},
        "c": {"type": "array", "minItems": 99, "items": {}},
    }
    with pytest.raises(Unfit, match="too deep or has too many"):
        fitting({"$ref": "#/$defs/a", "$defs": defs})
