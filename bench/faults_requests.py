"""What the fault run asks for, and what it must cost by our own arithmetic.

A mix of good, silent, failing and cut answers, streamed or not, from many keys, drawn from a seed.
What each answer is to have used is ordered from the vendor and so known to us, also where the proxy
hides it; what is shown is compared with it. Money is integer: rates in nano-USD per million tokens,
chosen so that nearly every sum has a fraction, which is rounded up once.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from bench.requests import chat_body

MODEL = "fault-model"
PRICE = {
    "input": 123_700_000,
    "cached_input": 61_900_000,
    "output": 1_000_100_000,
    "reasoning": 1_500_300_000,
}
"""Nano-USD per million tokens; `in_usd` says them as the configuration does."""

_MTOK = 1_000_000
_PACES = (0, 0, 5, 20)  # Milliseconds between chunks: some streams are long enough to be killed.


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens of one answer; `cached` is part of input, `reasoning` of output."""

    input: int
    output: int
    cached: int
    reasoning: int

    def cost(self) -> int:
        """In nano-USD, the fraction rounded up."""
        exact = (self.input - self.cached) * PRICE["input"] + self.cached * PRICE["cached_input"]
        exact += (self.output - self.reasoning) * PRICE["output"]
        exact += self.reasoning * PRICE["reasoning"]
        return -(-exact // _MTOK)


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of request. `order`: of the vendor; `shows`: whether usage is in the answer;
    `leaves`: the client goes when the first bytes are there; `share`: of all, in percent."""

    name: str
    share: int
    order: str = "whole"
    stream: bool = False
    shows: bool = True
    leaves: bool = False


KINDS = (
    Kind("plain", 44),
    Kind("streamed", 20, stream=True),
    Kind("streamed, usage hidden", 15, stream=True, shows=False),
    Kind("plain without usage", 5, order="bare", shows=False),
    Kind("streamed without usage", 4, order="bare", stream=True, shows=False),
    Kind("vendor's error", 3, order="error", shows=False),
    Kind("vendor is busy", 2, order="busy", shows=False),
    Kind("plain, cut", 2, order="cut", shows=False),
    Kind("streamed, cut", 2, order="cut", stream=True, shows=False),
    Kind("client leaves", 3, stream=True, shows=False, leaves=True),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `key`: the number of the caller's; `used`: None where the vendor is silent."""

    data: bytes
    kind: Kind
    key: int
    used: Used | None


def in_usd(nano: int) -> str:
    """A rate as an operator writes it."""
    return f"{nano // 10**9}.{nano % 10**9:09d}"


def key_name(number: int) -> str:
    """As it stands in the records."""
    return f"caller-{number:03d}"


def key_text(number: int) -> str:
    """What the caller sends."""
    return f"sk-faults-{number:03d}"


def asks(host: str, keys: int, seed: int) -> Iterator[Ask]:
    """Requests without end."""
    draw = random.Random(seed)
    weights = [kind.share for kind in KINDS]
    bodies = {kind.name: _body(kind) for kind in KINDS}
    while True:
        kind = draw.choices(KINDS, weights)[0]
        key = draw.randrange(keys)
        used = _draw_usage(draw) if kind.order == "whole" else None
        order = kind.order
        if used is not None:
            order += f" {used.input} {used.output} {used.cached} {used.reasoning}"
        chunks, pace = draw.randint(1, 12), draw.choice(_PACES)
        body = bodies[kind.name]
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\n"
            f"Content-Type: application/json\r\nAuthorization: Bearer {key_text(key)}\r\n"
            f"x-bench-plan: {chunks}x{pace}\r\nx-bench-answer: {order}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        yield Ask(head.encode() + body, kind, key, used)


def _draw_usage(draw: random.Random) -> Used:
    tokens_in, tokens_out = draw.randint(1, 4000), draw.randint(1, 900)
    cached = draw.randint(0, tokens_in) if draw.random() < 0.4 else 0
    reasoning = draw.randint(0, tokens_out) if draw.random() < 0.3 else 0
    return Used(tokens_in, tokens_out, cached, reasoning)


def _body(kind: Kind) -> bytes:
    body = chat_body(1, MODEL, stream=kind.stream)
    if kind.stream and kind.shows:
        body = body[:-1] + b',"stream_options":{"include_usage":true}}'
    return body
