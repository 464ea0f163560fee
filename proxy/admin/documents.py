"""Documents of keys and scopes: checked by the settings that the configuration is checked by.

What is kept is what was written, in one form (amounts as text, moments in UTC) and without
defaults, so that a merge patch changes what it names and nothing else. A refusal names every wrong
field by its path and shows no value.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.base.errors import BadRequest
from proxy.config.callers import VirtualKey
from proxy.config.near import nearest
from proxy.config.schema import Keys, List, Names, Shape, keys_of
from proxy.config.scopes import ScopeSettings
from proxy.config.section import SettingsSection
from proxy.core.identity import Document

_DEEPEST = 16
_MOST_TOLD = 5
_LONGEST_PATH = 128
_WORDS = {
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "tuple_type": "must be an array",
    "list_type": "must be an array",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "string_type": "must be text",
    "missing": "is missing",
}


def key_document(data: Document) -> Document:
    """The document of a key. Raises BadRequest."""
    return _checked(VirtualKey, data)


def scope_document(data: Document) -> Document:
    """The document of a scope. Raises BadRequest."""
    return _checked(ScopeSettings, data)


def defaults_of(section: type[SettingsSection], *given: str) -> Document:
    """What is shown of fields that a document does not have; `given` are always there."""
    empty = section.model_validate(dict.fromkeys(given, "x"))
    return {k: v for k, v in empty.model_dump(mode="json").items() if k not in given}


def merged(document: Document, patch: Document) -> dict[str, Any]:
    """A document after a merge patch (RFC 7396)."""
    return _merge(document, patch, _DEEPEST)


def _merge(target: Document, patch: Document, depth: int) -> dict[str, Any]:
    if not depth:
        raise BadRequest("the body is nested too deep", code="invalid_json")
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            under = result.get(name)
            result[name] = _merge(under if isinstance(under, dict) else {}, value, depth - 1)
        else:
            result[name] = value
    return result


def _checked(section: type[SettingsSection], data: Document) -> Document:
    try:
        settings = section.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        # Raised outside of the handler: a traceback must not lead back to the values.
    else:
        document = settings.model_dump(mode="json", exclude_unset=True)
        _storable(document.get("metadata", {}))
        return document
    told = list(_told(details, keys_of(section)))
    more = len(told) - _MOST_TOLD
    words = [words for _, words in told[:_MOST_TOLD]] + ([f"and {more} more"] if more > 0 else [])
    raise BadRequest("; ".join(words), param=told[0][0], code="invalid_value")


def _storable(metadata: Mapping[str, str]) -> None:
    for name, value in metadata.items():
        if "\0" in name + value:
            raise BadRequest(
                "`metadata` must be text without NUL", param="metadata", code="invalid_value"
            )


def _told(details: list[ErrorDetails], shape: Keys) -> Iterator[tuple[str, str]]:
    """Path and words of each error."""
    for detail in details:
        loc = tuple(step for step in detail["loc"] if step != "[key]")
        path = _path(loc)
        if detail["type"] == "extra_forbidden":
            yield path, f"`{path}` is not known; {_hint(str(loc[-1]), _at(shape, loc[:-1]))}"
        else:
            yield path, f"`{path}` {_words(detail)}"


def _words(detail: ErrorDetails) -> str:
    context: dict[str, Any] = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            names = re.findall(r"'([^']*)'", str(context["expected"]))
            return f"must be {', '.join(names[:-1])} or {names[-1]}"
        case other:
            return _WORDS.get(other, "must be something else: " + detail["msg"])


def _path(loc: tuple[str | int, ...]) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    shown = path.removeprefix(".")[:_LONGEST_PATH]
    return "".join(letter if letter.isprintable() else "?" for letter in shown)


def _at(shape: Shape, loc: tuple[str | int, ...]) -> Shape:
    for step in loc:
        match shape:
            case Keys(fields=fields):
                shape = fields.get(str(step))
            case Names(each=each) | List(each=each):
                shape = each
            case _:
                return None
    return shape


def _hint(name: str, shape: Shape) -> str:
    known = tuple(shape.fields) if isinstance(shape, Keys) else ()
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near else f"known here: {', '.join(sorted(known))}"
