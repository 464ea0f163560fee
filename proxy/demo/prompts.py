"""Reads what was said so far: the messages of a chat, the items of a response's input.

Gives the words that the answer echoes, whose turn it was, and what the prompt costs in tokens.
"""

from dataclasses import dataclass
from typing import Any

from proxy.demo import tokens
from proxy.demo.fields import Fields, fields_of, missing, mistyped

_MOST_TURNS = 10_000


@dataclass(frozen=True, slots=True)
class Prompt:
    """The last turn and the cost of all of them."""

    last: str
    by_user: bool
    by_tool: bool
    tokens: int


def chat_prompt(body: Fields) -> Prompt:
    """The prompt in `messages`."""
    messages = body.items("messages", _MOST_TURNS)
    if messages is None:
        raise missing("messages")
    if not messages:
        raise mistyped("messages", "an array that is not empty", messages)
    user, tool, cost, role = "", "", 0, ""
    for place, item in enumerate(messages):
        message = fields_of(item, f"messages[{place}]")
        role = message.text("role")
        said, price = content_text(message, "content")
        cost += price + tokens.PER_MESSAGE
        user = said if role == "user" else user
        tool = said if role == "tool" else tool
    by_tool = role == "tool"
    return Prompt(tool if by_tool else user, role == "user", by_tool, cost)


def input_prompt(body: Fields) -> Prompt:
    """The prompt in `input` and `instructions` of a response."""
    given = body.get("input")
    cost = tokens.count(body.text_or("instructions", ""))
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        return Prompt(given, True, False, cost + tokens.count(given) + tokens.PER_MESSAGE)
    if not isinstance(given, list):
        raise mistyped("input", "a string or an array of input items", given)
    user, tool, by_user, by_tool = "", "", False, False
    for place, value in enumerate(given):
        item = fields_of(value, f"input[{place}]")
        by_tool = item.get("type") == "function_call_output"
        said, price = content_text(item, "output" if by_tool else "content")
        cost += price + tokens.PER_MESSAGE
        tool = said if by_tool else tool
        by_user = item.get("role") == "user"
        user = said if by_user else user
    return Prompt(tool if by_tool else user, by_user, by_tool, cost)


def content_text(message: Fields, name: str) -> tuple[str, int]:
    """The words of a message's content (a string, an array of parts or nothing) and its cost."""
    content = message.get(name)
    if content is None:
        return "", 0
    if isinstance(content, str):
        return content, tokens.count(content)
    if not isinstance(content, list):
        raise mistyped(message.path(name), "a string or an array of parts", content)
    words: list[str] = []
    media = 0
    for place, part in enumerate(content):
        text = _part_text(part, f"{message.path(name)}[{place}]")
        if text is None:
            media += 1
        else:
            words.append(text)
    joined = " ".join(words)
    return joined, tokens.count(joined) + media * tokens.PER_MEDIUM


def _part_text(part: Any, at: str) -> str | None:
    """The words of one part; None for an image, a sound or a file."""
    fields = fields_of(part, at)
    if fields.text("type") in {"text", "input_text", "output_text"}:
        return fields.text("text")
    return None
