"""A value that fits a JSON schema: what the demo vendor gives to tools and structured outputs.

Understands type, properties, required, additionalProperties, items, prefixItems, enum, const,
minimum and its kin, lengths, simple formats, $ref within the document, allOf, anyOf and oneOf
(taken as anyOf). Does not understand pattern, not, if, contains and the like: those are ignored.

A path never follows the same $ref twice: where a finite value exists, one exists without such a
repetition, so optional branches are dropped, other alternatives tried, and the search ends. The
number of steps is bounded as well, since alternatives multiply.
"""

from typing import Any

from proxy.demo.scalars import Unfit, number, string
from proxy.demo.schema_merge import both, kind_of

MAX_STEPS = 5_000
_MAX_DEPTH = 100
_MAX_ITEMS = 100


def fitting(schema: Any, subject: str = "value") -> Any:
    """A value that fits `schema`; `subject` is a word for strings that have no name.

    Raises Unfit when there is none, or none that this module can find.
    """
    return _Search(schema).value(schema, subject, 0, ())


class _Search:
    """One search for a value: the document that references point into, and the steps left."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._steps = MAX_STEPS

    def value(
        self, schema: Any, name: str, turn: int, seen: tuple[str, ...], depth: int = 0
    ) -> Any:
        """A value for `schema`; the `turn`-th of several that should differ."""
        self._steps -= 1
        if self._steps < 0 or depth > _MAX_DEPTH:
            raise Unfit("the schema is too deep or has too many alternatives", final=True)
        if schema is True:
            return string({}, name, turn)
        if not isinstance(schema, dict):
            raise Unfit("a schema must be an object or true")
        schema, seen = self._resolved(schema, seen)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return _one_of(schema["enum"], turn)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._alternative(schema, word, name, turn, (seen, depth))
        return self._typed(schema, name, turn, seen, depth)

    def _resolved(
        self, schema: dict[str, Any], seen: tuple[str, ...]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """`schema` with its references and allOf merged in."""
        while "$ref" in schema or "allOf" in schema:
            self._steps -= 1
            if self._steps < 0:
                raise Unfit("the schema has too many references", final=True)
            rest = {k: v for k, v in schema.items() if k not in {"$ref", "allOf"}}
            merged = schema.get("allOf", [])
            if not isinstance(merged, list):
                raise Unfit("allOf must be an array")
            for part in merged:
                rest = both(rest, part)
            if "$ref" in schema:
                reference = schema["$ref"]
                if not isinstance(reference, str) or reference in seen:
                    raise Unfit(f"the reference {str(reference)[:80]!r} leads back to itself")
                seen = (*seen, reference)
                rest = both(self._referenced(reference), rest)
            schema = rest
        return schema, seen

    def _referenced(self, reference: str) -> Any:
        """What a reference within the document points to."""
        if not reference.startswith("#"):
            raise Unfit(f"the reference {reference[:80]!r} leads out of the document")
        node = self._root
        for raw in reference[1:].split("/")[1:]:
            step = raw.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and step in node:
                node = node[step]
            elif isinstance(node, list) and step.isdecimal() and int(step) < len(node):
                node = node[int(step)]
            else:
                raise Unfit(f"the reference {reference[:80]!r} leads nowhere")
        return node

    def _alternative(
        self,
        schema: dict[str, Any],
        word: str,
        name: str,
        turn: int,
        way: tuple[tuple[str, ...], int],
    ) -> Any:
        """The first of several alternatives that has a value."""
        seen, depth = way
        options = schema[word]
        if not isinstance(options, list) or not options:
            raise Unfit(f"{word} must be an array that is not empty")
        rest = {k: v for k, v in schema.items() if k != word}
        for option in options:
            try:
                # Merged behind allOf, so that a reference in the option is followed first.
                joined = {"allOf": [rest, option]} if rest else option
                return self.value(joined, name, turn, seen, depth + 1)
            except Unfit as failure:
                if failure.final:
                    raise
        raise Unfit(f"no alternative of {word} has a value")

    def _typed(
        self, schema: dict[str, Any], name: str, turn: int, seen: tuple[str, ...], depth: int
    ) -> Any:
        match kind_of(schema):
            case "object":
                return self._object(schema, seen, depth)
            case "array":
                return self._array(schema, name, seen, depth)
            case "integer":
                return number(schema, turn, whole=True)
            case "number":
                return number(schema, turn, whole=False)
            case "boolean":
                return turn % 2 == 0
            case "null":
                return None
            case _:
                return string(schema, name, turn)

    def _object(self, schema: dict[str, Any], seen: tuple[str, ...], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        more = schema.get("additionalProperties", True)
        least = schema.get("minProperties", 0)
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise Unfit("properties must be an object and required an array")
        made: dict[str, Any] = {}
        for key, inner in properties.items():
            try:
                made[key] = self.value(inner, key, 0, seen, depth + 1)
            except Unfit as failure:
                if failure.final or key in required:
                    raise
        extra = [k for k in required if isinstance(k, str) and k not in made]
        extra += [f"key_{i + 1}" for i in range(_bounded(least) - len(made) - len(extra))]
        for key in extra:
            made[key] = self.value(more, key, 0, seen, depth + 1)
        return _at_most(made, required, schema.get("maxProperties"))

    def _array(
        self, schema: dict[str, Any], name: str, seen: tuple[str, ...], depth: int
    ) -> list[Any]:
        least = _bounded(schema.get("minItems", 0))
        most = _bounded(schema.get("maxItems", _MAX_ITEMS))
        places = schema.get("prefixItems", [])
        if not isinstance(places, list):
            raise Unfit("prefixItems must be an array")
        wanted = max(least, min(most, max(1, len(places))))
        made: list[Any] = []
        for turn in range(wanted):
            inner = places[turn] if turn < len(places) else schema.get("items", True)
            try:
                made.append(self.value(inner, name, turn, seen, depth + 1))
            except Unfit as failure:
                if failure.final or turn < least:
                    raise
                break
        if least > most or (schema.get("uniqueItems") is True and _repeats(made)):
            raise Unfit("the array cannot have so many different items")
        return made


def _one_of(options: Any, turn: int) -> Any:
    if not isinstance(options, list) or not options:
        raise Unfit("enum must be an array that is not empty")
    return options[turn % len(options)]


def _bounded(size: Any) -> int:
    if not isinstance(size, int) or size < 0:
        raise Unfit("a size must be a number that is not negative")
    if size > _MAX_ITEMS:
        raise Unfit(f"the demo vendor makes at most {_MAX_ITEMS} items", final=True)
    return size


def _at_most(made: dict[str, Any], required: list[Any], most: Any) -> dict[str, Any]:
    """`made` without optional properties beyond maxProperties."""
    if not isinstance(most, int) or len(made) <= most:
        return made
    spare = [key for key in made if key not in required][: len(made) - most]
    kept = {key: value for key, value in made.items() if key not in spare}
    if len(kept) > most:
        raise Unfit("more properties are required than allowed")
    return kept


def _repeats(items: list[Any]) -> bool:
    return any(item in items[:place] for place, item in enumerate(items))
