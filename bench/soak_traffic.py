"""What a soak run asks: all that callers do, and all that goes wrong, in fixed shares.

Each kind says what may come of it, so that a proxy that got worse over the hours is not taken for
one that answers. What fails on purpose is asked of a model with a provider of its own: that its
breaker opens now and then is part of the run. Bodies are prepared; the head differs by caller and
customer. Pure.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from bench.harness.asks import Place, mock_model, prepare
from bench.harness.judge import PlainJudge, StreamJudge
from bench.harness.scenarios import SCENARIOS, Scenario
from bench.requests import chat_body
from bench.verdict import Verdict

CALLERS, TEAMS, CUSTOMERS, SESSIONS = 40, 8, 200, 2000
NARROW, POOR = "sk-soak-narrow", "sk-soak-poor"
"""Keys that are refused most of the time: a limit of requests, a budget."""
SHAKY = "shaky"
"""The model whose vendor fails."""

_GOOD: frozenset[str | None] = frozenset((None,))
_FAILS: frozenset[str | None] = frozenset(f"status_{n}" for n in (429, 500, 502, 503))
_BREAKS = _FAILS | {"error_event", "no_done"}
_MAY_BE_REFUSED: frozenset[str | None] = frozenset((None, "status_429"))


@dataclass(frozen=True, slots=True)
class Kind:
    """One of them. `abort`: seconds after which the caller goes away."""

    name: str
    share: float
    scenario: Scenario
    may: frozenset[str | None] = _GOOD
    key: str | None = None
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    abort: float | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    kind: Kind
    data: bytes
    verdict: Callable[[], Verdict]


_CHAT = SCENARIOS["chat"]
_STREAM = Scenario("stream", "a short stream", plan="20x20")
_LONG = Scenario("long", "a long stream", plan="150x20")
KINDS = (
    Kind("chat", 45, _CHAT),
    Kind("stream", 16, _STREAM),
    Kind("long stream", 2, _LONG),
    Kind("embeddings", 10, SCENARIOS["embeddings"]),
    Kind("tools", 4, SCENARIOS["tools-stream"]),
    Kind("20 kB", 4, SCENARIOS["prompt-20k"]),
    Kind("200 kB", 1, SCENARIOS["prompt-200k"]),
    Kind("2 MB", 0.1, SCENARIOS["prompt-2m"]),
    Kind("error", 2, _CHAT, _FAILS, model=SHAKY, headers={"x-bench-answer": "error"}),
    Kind("busy", 1, _CHAT, _FAILS, model=SHAKY, headers={"x-bench-answer": "busy"}),
    Kind("cut", 1, _CHAT, _BREAKS, model=SHAKY, headers={"x-bench-answer": "cut"}),
    Kind("cut stream", 1, _STREAM, _BREAKS, model=SHAKY, headers={"x-bench-answer": "cut"}),
    Kind("shaky, good", 4, _CHAT, _GOOD | _FAILS, model=SHAKY),
    Kind("gone in the stream", 2, _LONG, abort=0.3),
    Kind("gone before the head", 1.5, Scenario("late", "", plan="2x20-600"), abort=0.15),
    Kind("narrow key", 2, _CHAT, _MAY_BE_REFUSED, key=NARROW),
    Kind("poor key", 2, _CHAT, _MAY_BE_REFUSED, key=POOR),
    Kind("unknown key", 0.7, _CHAT, frozenset(("status_401",)), key="sk-nobody"),
    Kind("no JSON", 0.7, _CHAT, frozenset(("status_400",)), body=b'{"model": "bench-chat", '),
)


class Traffic:
    """Draws one request after the other; the same from the same seed."""

    def __init__(self, url: str, seed: int) -> None:
        self._place = Place.of(url)
        self._draw = random.Random(f"soak {seed}")
        self._weights = list(accumulate(kind.share for kind in KINDS))
        self._bodies = {kind.name: _body(kind, self._place) for kind in KINDS}

    @property
    def place(self) -> Place:
        return self._place

    def __iter__(self) -> Iterator[Asked]:
        known: set[bytes] = set()
        while True:
            kind = self._draw.choices(KINDS, cum_weights=self._weights)[0]
            line, body = self._bodies[kind.name]
            data = b"%b%b\r\n%b" % (line, self._fields(kind, len(body)), body)
            yield Asked(kind, data, StreamJudge if kind.scenario.streamed else _judge(kind, known))

    def _fields(self, kind: Kind, length: int) -> bytes:
        draw = self._draw
        key = kind.key or f"sk-soak-{draw.randrange(CALLERS)}"
        fields = {
            "Host": self._place.authority,
            "Content-Type": "application/json",
            "Authorization": f"Bearer {key}",
            "Content-Length": str(length),
            **kind.headers,
        }
        if kind.scenario.plan:
            fields["x-bench-plan"] = kind.scenario.plan
        if draw.random() < 0.5:
            fields["x-llm-proxy-customer"] = f"customer-{draw.randrange(CUSTOMERS)}"
            fields["x-llm-proxy-session"] = f"session-{draw.randrange(SESSIONS)}"
        return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()


def _judge(kind: Kind, known: set[bytes]) -> Callable[[], Verdict]:
    member = "data" if kind.scenario.kind == "embeddings" else "choices"
    return lambda: PlainJudge(member, known)


def _body(kind: Kind, place: Place) -> tuple[bytes, bytes]:
    """The request line and the body."""
    model = kind.model or mock_model(kind.scenario)
    head, _, body = prepare(kind.scenario, place, "", model).data.partition(b"\r\n\r\n")
    if kind.scenario.name == _CHAT.name and kind.model == SHAKY:
        body = chat_body(1, SHAKY, stream=False)
    line, _, _ = head.partition(b"\r\n")
    return line + b"\r\n", kind.body if kind.body is not None else body
