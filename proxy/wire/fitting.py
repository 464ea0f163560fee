"""A conversation cut down to a window: the oldest turns go, what the rest depends on stays.

What always stays: messages of `system` and `developer`, the last user message, and the last thing
behind it. A turn is a user message with all that follows until the next one; turns go whole, the
oldest first. When only the last turn is left and a long run of tool calls stands in it, its oldest
steps go: an assistant message together with the results of the calls it makes. So no result is ever
without its call, and no call without its results; messages keep their order and their bytes.

The `input` of the Responses API is cut in whole turns only: its items refer to each other.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from proxy.wire.body import Body
from proxy.wire.fitting_estimate import most_tokens

Estimate = Callable[[bytes], int]
"""Tokens of one message, given as JSON; rather too many than too few."""

MOST_MESSAGES = 20_000
"""Longer lists are not cut: no vendor takes so many, and looking at them takes time."""

_MESSAGE = 4  # Tokens around each message, as OpenAI's cookbook counts them,
_PRIMING = 3  # and those that begin the answer.
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_PINNED = frozenset(("system", "developer"))
_RESULTS = frozenset(("tool", "function"))
_FIELD: dict[str, str] = {"chat": "messages", "responses": "input"}


class _Message(msgspec.Struct):
    role: msgspec.Raw = msgspec.Raw()


_ROLE = msgspec.json.Decoder(list[_Message])


class Window(NamedTuple):
    """What fits: the messages as JSON, and how many were left out (0: they are as they came)."""

    messages: bytes
    dropped: int


def fit(body: Body, operation: str, allowed: int, estimate: Estimate = most_tokens) -> int | None:
    """Cut the request's conversation down to `allowed` tokens. How many messages were left out, or
    None when it cannot be made to fit (then nothing was changed)."""
    name = _FIELD.get(operation)
    messages = body.value(name) if name is not None else None
    if name is None or messages is None:
        return None
    window = windowed(messages, allowed, estimate, steps=operation == "chat")
    if window is None:
        return None
    if window.dropped:
        body.set(name, window.messages)
    return window.dropped


def windowed(
    messages: bytes, allowed: int, estimate: Estimate = most_tokens, *, steps: bool = True
) -> Window | None:
    """The conversation cut down to `allowed` tokens, or None when it cannot be made to fit.

    `steps`: whether the last turn may lose its oldest steps. `messages` is valid JSON."""
    try:
        raw = _LIST.decode(messages)
        if len(raw) > MOST_MESSAGES:
            return None
        roles = [_role(each.role) for each in _ROLE.decode(messages)]
    except msgspec.MsgspecError:
        return None  # No list of objects: nothing to leave out.
    texts = [bytes(each) for each in raw]
    sizes = [estimate(text) + _MESSAGE for text in texts]
    excess = sum(sizes) + _PRIMING - allowed
    if excess <= 0:
        return Window(messages, 0)
    dropped: set[int] = set()
    for unit in _units(roles, steps=steps):
        dropped.update(unit)
        excess -= sum(sizes[at] for at in unit)
        if excess <= 0:
            kept = (text for at, text in enumerate(texts) if at not in dropped)
            return Window(b"[" + b",".join(kept) + b"]", len(dropped))
    return None


def _role(raw: msgspec.Raw) -> str:
    text = bytes(raw)
    return _TEXT.decode(text) if text[:1] == b'"' else ""


def _units(roles: list[str], *, steps: bool) -> list[list[int]]:
    """What may go, in the order in which it goes: places that go together."""
    turns: list[list[int]] = [[]]
    for at, role in enumerate(roles):
        if role in _PINNED:
            continue
        if role == "user":
            turns.append([])
        turns[-1].append(at)
    *older, last = turns
    units = [turn for turn in older if turn]
    if steps:
        units += _steps(roles, last)
    return units


def _steps(roles: list[str], turn: list[int]) -> list[list[int]]:
    """The steps of the last turn that may go: not its user message, nor the last of them."""
    found: list[list[int]] = []
    for at in turn:
        if roles[at] == "user":
            continue
        if roles[at] in _RESULTS and found:
            found[-1].append(at)
        else:
            found.append([at])
    return found[:-1]
