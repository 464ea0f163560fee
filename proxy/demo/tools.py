"""Which tool is called: reads `tools` and `tool_choice` of chat completions and of responses.

The demo vendor calls the first function it may when the choice demands a call, or when nothing is
demanded and the last turn is the user's (so that a loop over tools ends after one round). Tools
that are not functions are accepted and never called.
"""

from typing import Any

from proxy.demo.compose import Shape, Tool
from proxy.demo.content import Refusal
from proxy.demo.fields import Fields, fields_of, missing, mistyped, unsupported

_MOST_TOOLS = 128


def tool_to_call(body: Fields, *, nested: bool, asked_by_user: bool) -> Tool | None:
    """The tool to call now. `nested`: names stand inside `function` (chat), else beside `type`."""
    offered = _functions(body, nested=nested)
    choice = body.get("tool_choice")
    if choice is None or choice == "auto":
        return next(iter(offered.values()), None) if asked_by_user else None
    if choice == "none":
        return None
    if not body.get("tools"):
        raise Refusal(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are "
            "specified.",
            param="tool_choice",
        )
    if choice == "required":
        return next(iter(offered.values()), None)
    return _named(choice, offered, nested=nested, asked_by_user=asked_by_user)


def _functions(body: Fields, *, nested: bool) -> dict[str, Tool]:
    found: dict[str, Tool] = {}
    for place, item in enumerate(body.items("tools", _MOST_TOOLS) or ()):
        at = f"tools[{place}]"
        tool = fields_of(item, at)
        if tool.text("type") != "function":
            continue
        function = tool.inner("function") if nested else tool
        if function is None:
            raise missing(f"{at}.function")
        schema = function.get("parameters")
        if schema is None:
            schema = {"type": "object", "properties": {}}
        elif not isinstance(schema, dict):
            raise mistyped(function.path("parameters"), "an object", schema)
        name = function.text("name")
        found.setdefault(name, Tool(name, Shape(schema, function.path("parameters"))))
    return found


def _named(
    choice: Any, offered: dict[str, Tool], *, nested: bool, asked_by_user: bool
) -> Tool | None:
    if isinstance(choice, str):
        raise unsupported("tool_choice", choice, "'none', 'auto', 'required' and objects")
    chosen = fields_of(choice, "tool_choice")
    kind = chosen.text("type")
    if kind == "allowed_tools":
        return _allowed(chosen, offered, nested=nested, asked_by_user=asked_by_user)
    if kind != "function":
        return None
    function = chosen.inner("function") if nested else chosen
    if function is None:
        raise missing("tool_choice.function")
    name = function.text("name")
    if name not in offered:
        raise Refusal(
            f"Tool choice '{name[:60]}' not found in 'tools' parameter.", param="tool_choice"
        )
    return offered[name]


def _allowed(
    chosen: Fields, offered: dict[str, Tool], *, nested: bool, asked_by_user: bool
) -> Tool | None:
    rules = chosen.inner("allowed_tools") if nested else chosen
    if rules is None:
        raise missing("tool_choice.allowed_tools")
    if rules.text_or("mode", "auto") != "required" and not asked_by_user:
        return None
    for place, item in enumerate(rules.items("tools", _MOST_TOOLS) or ()):
        tool = fields_of(item, f"{rules.path('tools')}[{place}]")
        function = tool.inner("function") if nested else tool
        if function is not None and function.get("name") in offered:
            return offered[function.text("name")]
    return None
