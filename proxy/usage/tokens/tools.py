"""Tool definitions as tokens: the formula of OpenAI's cookbook, as it was found by measuring.

OpenAI writes tools out in a form of its own that is not published. The formula is exact for the
functions with flat parameters it was made for; nested ones are walked the same way, and everything
else of a schema counts as its JSON text.
"""

from typing import Any

from proxy.base.jsonio import dumps
from proxy.usage.tokens.encodings import CL100K
from proxy.usage.tokens.tally import Tally, Uncountable, an_object, objects

_FUNCTION = 7
_FUNCTION_CL100K = 10
_ALL_FUNCTIONS = 12
_PARAMETERS = 3
_PARAMETER = 3
_CHOICES = -3
_CHOICE = 3
_DEEPEST = 32


def add_tools(tally: Tally, tools: Any, encoding: str) -> None:
    """The tools of a request, in the shape of chat, of responses, or the old `functions`."""
    found = objects(tools)
    for tool in found:
        inner = an_object(tool.get("function") or tool.get("custom")) or tool
        tally.tokens += _FUNCTION_CL100K if encoding == CL100K else _FUNCTION
        tally.text(f"{_word(inner, 'name') or _word(tool, 'type')}:{_sentence(inner)}")
        _add_parameters(tally, an_object(inner.get("parameters")), _DEEPEST)
    if found:
        tally.tokens += _ALL_FUNCTIONS


def add_schema(tally: Tally, schema: Any) -> None:
    """The schema that an answer must have."""
    if isinstance(schema, dict):
        tally.text(dumps(schema).decode())


def _add_parameters(tally: Tally, schema: dict[str, Any], deepest: int) -> None:
    properties = an_object(schema.get("properties"))
    if not properties:
        return
    if deepest == 0:
        raise Uncountable("a tool's parameters are nested too deeply")
    tally.tokens += _PARAMETERS
    for name, found in properties.items():
        each = an_object(found)
        tally.tokens += _PARAMETER
        choices = each.get("enum")
        if isinstance(choices, list):
            tally.tokens += _CHOICES
            for choice in choices:
                tally.tokens += _CHOICE
                tally.text(choice if isinstance(choice, str) else str(choice))
        tally.text(f"{name}:{_word(each, 'type')}:{_sentence(each)}")
        _add_parameters(tally, each, deepest - 1)
        _add_parameters(tally, an_object(each.get("items")), deepest - 1)


def _word(found: dict[str, Any], name: str) -> str:
    word = found.get(name)
    return word if isinstance(word, str) else ""


def _sentence(found: dict[str, Any]) -> str:
    return _word(found, "description").removesuffix(".")
