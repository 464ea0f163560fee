"""What the clients of the walls run ask for: all kinds of calls, many callers, drawn from a seed.

What an answer uses is ordered from the vendor, and is honest: no more input than the request can
have, no more output than its cap allows (the vendor looks again, as the proxy may lower the cap).
Some name no cap, some go in the middle of a stream, some are cut, some get an error.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from bench.faults_requests import Ask, Kind, Used
from bench.walls_world import GONE, Caller, Tokens, World, upstream
from proxy.base.jsonio import dumps
from proxy.core.quota import Scope

KINDS = (
    Kind("plain", 38),
    Kind("streamed", 24, stream=True),
    Kind("streamed, usage hidden", 8, stream=True, shows=False),
    Kind("plain without usage", 3, order="bare", shows=False),
    Kind("streamed without usage", 3, order="bare", stream=True, shows=False),
    Kind("plain, cut", 4, order="cut", shows=False),
    Kind("streamed, cut", 5, order="cut", stream=True, shows=False),
    Kind("vendor's error", 4, order="error", shows=False),
    Kind("vendor is busy", 2, order="busy", shows=False),
    Kind("client leaves", 9, stream=True, shows=False, leaves=True),
)
UNCAPPED = 0.06
"""The share of calls that name no cap on output."""

_WORDS = "What does a wall cost, by the yard, if nobody may climb it and the ivy is not counted? "
_LEAST_CAP, _MOST_CAP = 160, 640  # What is counted by the proxy itself fits the least.
_USUAL_OUTPUT = 400


@dataclass(frozen=True, slots=True)
class WallAsk(Ask):
    """One request. `scopes`: all that it belongs to but the provider."""

    scopes: tuple[Scope, ...]
    model: str
    capped: bool


def asks(world: World, host: str, seed: int) -> Iterator[WallAsk]:
    """Requests without end."""
    draw = random.Random(f"asks {seed}")
    weights = [kind.share for kind in KINDS]
    models = list(world.models)
    while True:
        caller = draw.choice(world.callers)
        customer, model = draw.choice(world.customers), draw.choice(models)
        kind = draw.choices(KINDS, weights)[0]
        cap = None if draw.random() < UNCAPPED else draw.randint(_LEAST_CAP, _MOST_CAP)
        body = _body(kind, model, cap, draw.randint(100, 2000))
        used = _tokens(draw, len(body) // 4, cap or _USUAL_OUTPUT)
        order = kind.order
        if order == "whole":
            order += f" {used.input} {used.output} {used.cached} {used.reasoning}"
        scopes = world.scopes(caller, customer, model)
        plan = f"{draw.randint(2, 12)}x{20 if kind.leaves else draw.choice((0, 0, 5, 20))}"
        head = _head(host, caller, scopes, (customer, plan, order), len(body))
        yield WallAsk(
            head + body,
            kind,
            world.callers.index(caller),
            Used(*used) if kind.order == "whole" else None,
            scopes,
            model,
            cap is not None,
        )


def too_dear(world: World, host: str, caller: Caller, tokens: int) -> bytes:
    """A call that may use so many tokens of output, which one of its budgets cannot pay."""
    model = next(iter(world.models))
    body = _body(KINDS[0], model, tokens, 100)
    customer = world.customers[0]
    scopes = world.scopes(caller, customer, model)
    return _head(host, caller, scopes, (customer, "2x0", "whole 20 20 0 0"), len(body)) + body


def demanded(world: World, ask: WallAsk) -> tuple[tuple[Scope, ...], int]:
    """What a call would cost its scopes if it were answered, about: at its first provider that
    can be reached."""
    provider = next(each for each in world.models[ask.model] if each != GONE)
    used = ask.used
    tokens = Tokens(100, 10) if used is None else _seen(used)
    refused = ask.kind.order in {"error", "busy"}
    cost = 0 if refused else world.rates[upstream(ask.model, provider)].cost(tokens)
    return (*ask.scopes, Scope("provider", provider)), cost


def _seen(used: Used) -> Tokens:
    return Tokens(used.input, used.output, used.cached, used.reasoning)


def _tokens(draw: random.Random, most_input: int, most_output: int) -> Tokens:
    tokens_in = draw.randint(most_input // 2, most_input)
    tokens_out = draw.randint(most_output // 3, most_output)
    cached = draw.randint(0, tokens_in) if draw.random() < 0.3 else 0
    reasoning = draw.randint(0, tokens_out) if draw.random() < 0.3 else 0
    return Tokens(tokens_in, tokens_out, cached, reasoning)


def _head(
    host: str, caller: Caller, scopes: tuple[Scope, ...], more: tuple[str, str, str], size: int
) -> bytes:
    customer, plan, order = more
    said = ",".join(f"{scope.kind}={scope.name}" for scope in scopes)
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nAuthorization: Bearer {caller.key}\r\n"
        f"x-llm-proxy-customer: {customer}\r\nx-bench-scopes: {said}\r\n"
        f"x-bench-plan: {plan}\r\nx-bench-answer: {order}\r\nContent-Length: {size}\r\n\r\n"
    ).encode()


def _body(kind: Kind, model: str, cap: int | None, size: int) -> bytes:
    text = (_WORDS * (size // len(_WORDS) + 1))[:size]
    asked: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if cap is not None:
        asked["max_tokens"] = cap
    if kind.stream:
        asked["stream"] = True
        if kind.shows:
            asked["stream_options"] = {"include_usage": True}
    return dumps(asked)
