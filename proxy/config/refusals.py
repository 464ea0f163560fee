"""What pydantic refused, in plain words and at the place of the value.

Pydantic's own texts speak of inputs and types, and may echo the value. Only the kind of error and
what was expected are taken from it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.config.near import nearest
from proxy.config.problems import Problem
from proxy.config.tree import Found, Loc, Scalar, Section, dotted, find

_WORDS = {
    "model_type": "must be a mapping (`name: value` lines)",
    "model_attributes_type": "must be a mapping (`name: value` lines)",
    "dict_type": "must be a mapping (`name: value` lines)",
    "mapping_type": "must be a mapping (`name: value` lines)",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "path_type": "must be the name of a file",
}


def refusals(
    error: ValidationError, root: Section, origins: Mapping[Loc, str]
) -> Iterator[Problem]:
    """One problem per error. `origins`: values that came from an environment variable instead."""
    for detail in error.errors(include_url=False, include_input=False):
        loc = tuple(step for step in detail["loc"] if step != "[key]")
        found = find(root, loc)
        if found.whole and isinstance(found.node, Scalar) and found.node.broken:
            continue
        if variable := origins.get(loc[:2]):
            text = f"the environment variable {variable} {_words(detail, found)}"
            yield root.place.problem(text)
        elif detail["type"] == "missing":
            place = found.node.place if found.whole else found.key
            yield place.problem(f"`{dotted(loc)}` is {'empty' if found.whole else 'missing'}")
        elif detail["loc"][-1] == "[key]":
            yield found.key.problem(f"`{dotted(loc)}` {_words(detail, found)}")
        else:
            yield found.node.place.problem(f"`{dotted(loc)}` {_words(detail, found)}")


def _words(detail: ErrorDetails, found: Found) -> str:
    context: dict[str, Any] = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "string_type":
            scalar = isinstance(found.node, Scalar) and found.node.value is not None
            return "must be text" + ("; put it in quotes" if scalar else "")
        case "literal_error":
            return _one_of(str(context["expected"]), found)
        case other:
            return _WORDS.get(other, "must be something else: " + detail["msg"])


def _one_of(expected: str, found: Found) -> str:
    names = re.findall(r"'([^']*)'", expected)
    if not names:  # Of numbers.
        return f"must be {expected}"
    near = nearest(found.node.text, names) if isinstance(found.node, Scalar) else None
    hint = f"; did you mean `{near}`?" if near else ""
    words = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
    return f"must be {words}{hint}"
