"""Finds the words: from what was asked, in whatever dialect, to what each choice says.

`Ask` is the part of a chat, completion or responses request that decides the words; `Said` is one
choice. The words depend on the last turn, the model and the place of the choice only, so the same
question gets the same words streamed and not. Limits are applied in the order of a real vendor:
stop sequences end the text, then the token limit cuts what is left.
"""

import zlib
from dataclasses import dataclass
from typing import Any

from proxy.base import jsonio
from proxy.demo import tokens
from proxy.demo.content import Refusal
from proxy.demo.scalars import Unfit
from proxy.demo.schema import fitting

_GREETINGS = (
    "Hello from the demo vendor.",
    "Greetings from the demo vendor, glad that you ask.",
    "The demo vendor says good day.",
    "Nice to meet you, says the demo vendor.",
    "Here is the demo vendor, at your service.",
)
_CLOSINGS = (
    "No model was asked and no network was used.",
    "These words were made in the process that answers you.",
    "Ask the same again and you get the same words.",
    "Put a real provider in the configuration and a model will answer.",
)
_ECHOED_WORDS = 8
_ECHOED_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Shape:
    """A JSON schema that the words must fit, and the parameter that asked for it."""

    schema: Any
    param: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the caller offers."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Ask:
    """What decides the words."""

    model: str
    last: str  # The words of the last turn: a user's, or a tool's.
    by_tool: bool = False
    tool: Tool | None = None  # The one to call now.
    shape: Shape | None = None
    limit: int | None = None  # Tokens of one choice at most.
    stops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What one choice says: a text, or the arguments of a call."""

    text: str
    tokens: int
    complete: bool  # False: the limit cut it.
    tool: str | None = None


def say(ask: Ask, choice: int = 0) -> Said:
    """What the `choice`-th answer to `ask` says. Raises Refusal if a schema has no value."""
    if ask.tool is not None:
        arguments = _fitted(ask.tool.shape, ask.last)
        return _limited(ask, arguments, ask.tool.name)
    text = _fitted(ask.shape, ask.last) if ask.shape is not None else _sentences(ask, choice)
    for stop in ask.stops:
        text = text.partition(stop)[0]
    return _limited(ask, text, None)


def _limited(ask: Ask, text: str, tool: str | None) -> Said:
    if ask.limit is None:
        return Said(text, tokens.count(text), complete=True, tool=tool)
    kept = tokens.head(text, ask.limit)
    return Said(kept, tokens.count(kept), complete=len(kept) == len(text), tool=tool)


def _sentences(ask: Ask, choice: int) -> str:
    seed = zlib.crc32(f"{ask.model}\0{ask.last}".encode("utf-8", "replace"))
    greeting = _GREETINGS[(seed + choice) % len(_GREETINGS)]
    closing = _CLOSINGS[(seed // len(_GREETINGS) + choice) % len(_CLOSINGS)]
    echo = _echo(ask.last)
    if not echo:
        return f"{greeting} {closing}"
    said = "Your tool said" if ask.by_tool else "You said"
    return f"{greeting} {said}: {echo}. {closing}"


def _echo(text: str) -> str:
    """The first few words of `text`."""
    words = text[:1000].split(maxsplit=_ECHOED_WORDS)[:_ECHOED_WORDS]
    return " ".join(words)[:_ECHOED_CHARACTERS].rstrip(" .")


def _fitted(shape: Shape, last: str) -> str:
    """JSON text that fits `shape`."""
    try:
        value = fitting(shape.schema, _echo(last) or "value")
        return jsonio.dumps(value).decode()
    except Unfit as unfit:
        raise Refusal(
            f"Invalid schema for '{shape.param}': {unfit.message}.",
            param=shape.param,
            code="invalid_json_schema",
        ) from unfit
