"""Answers of the mock vendor as the request orders them, sans I/O.

The header `x-bench-answer: whole 120 33 64 10` orders a good answer that used so many tokens of
input, output, cached input (part of input) and reasoning (part of output), streamed or not as the
body says. Other kinds: `bare` (good, without usage), `cut` (breaks off in the middle, and the
connection with it), `error` (500), `busy` (429). Every caller can so check what it was charged.
"""

from dataclasses import dataclass
from functools import lru_cache

from bench import answers

_REFUSALS = {
    b"error": (b"500 Internal Server Error", b"server_error"),
    b"busy": (b"429 Too Many Requests", b"rate_limit_error"),
}
_KINDS = frozenset((b"whole", b"bare", b"cut", *_REFUSALS))
_USAGE = (
    '{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,'
    '"prompt_tokens_details":{"cached_tokens":%d},'
    '"completion_tokens_details":{"reasoning_tokens":%d}}'
)


@dataclass(frozen=True, slots=True)
class Order:
    """What a request ordered. `usage`: JSON, None where the vendor is to be silent about it."""

    kind: bytes
    usage: str | None = None

    @property
    def refusal(self) -> bytes | None:
        """The whole answer where it is an error."""
        return _refusal(self.kind) if self.kind in _REFUSALS else None

    @property
    def cut(self) -> bool:
        return self.kind == b"cut"

    def plain(self) -> bytes:
        """An answer that is not streamed; half of it where it is to be cut."""
        usage = "" if self.usage is None else f',"usage":{self.usage}'
        body = answers.plain_body(usage)
        whole = answers.json_answer(b"200 OK", body, b"x-request-id: req_bench\r\n")
        return whole[: -len(body) // 2] if self.cut else whole

    def stream_end(self, *, asked: bool) -> bytes | None:
        """What follows the last chunk, None where the stream is cut there."""
        if self.cut:
            return None
        return answers.end_of_stream(self.usage if asked else None)


def read(text: bytes) -> Order | None:
    """The order in a header's value, None when it is none."""
    kind, *numbers = text.split() or [b""]
    if kind not in _KINDS or not all(number.isdigit() for number in numbers):
        return None
    if len(numbers) != 4:
        return Order(kind)
    tokens_in, tokens_out, cached, reasoning = map(int, numbers)
    return Order(kind, _USAGE % (tokens_in, tokens_out, tokens_in + tokens_out, cached, reasoning))


class Faults:
    """Faults in even shares, for whoever cannot put an order into the request."""

    __slots__ = ("_cuts", "_due_cuts", "_due_errors", "_errors")

    def __init__(self, errors: float, cuts: float) -> None:
        self._errors = errors
        self._cuts = cuts
        self._due_errors = 0.0
        self._due_cuts = 0.0

    def next(self) -> Order | None:
        """What the next request gets; None: what it asks for."""
        self._due_errors += self._errors
        self._due_cuts += self._cuts
        if self._due_errors >= 1.0:
            self._due_errors -= 1.0
            return Order(b"error")
        if self._due_cuts >= 1.0:
            self._due_cuts -= 1.0
            return Order(b"cut")
        return None


@lru_cache
def _refusal(kind: bytes) -> bytes:
    status, word = _REFUSALS[kind]
    body = b'{"error":{"message":"As ordered.","type":"%s","param":null,"code":null}}' % word
    return answers.json_answer(status, body)
