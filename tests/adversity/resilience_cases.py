"""Failures that are not the same for ever, or that a setting decides on, in one table: what both
vendors say, what is configured, and what came of it. Read by test_resilience_cases.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.adversity.resilience_failures import EVENTS, SAID
from tests.adversity.resilience_run import ALL, DEARER, TEXT
from tests.fakes import openai_wire as wire
from tests.fakes.script import FIN, Pause, Reply

TWICE = {"retry": {"attempts": 2, "initial": "20ms", "max": "5s"}}
_MALFORMED = b'data: {"choices":[{"delta":{"content":\n\n'
_OTHER = "Something else."

Tried = Sequence[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Case:
    """`one`, `two`: what they say first, `one_ever`, `two_ever`: and then for ever; the usual good
    answer where that is left out. `model`, `second`: settings. `costs`: of each attempt, in
    nano-USD; None: something. `seconds`: it takes at least and at most."""

    tried: Tried
    costs: Sequence[int | None]
    one: Sequence[Reply] = ()
    two: Sequence[Reply] = ()
    one_ever: Reply | None = None
    two_ever: Reply | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    second: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False
    stream: bool = False
    status: int = 200
    code: str | None = None
    text: str = TEXT
    seconds: tuple[float, float] = (0.0, 1.5)


def _no(status: int, code: str | None = None, *headers: tuple[str, str]) -> Reply:
    said = [("content-type", "application/json"), *headers]
    return Reply(status=status, headers=said, body=wire.error_body("no", code=code))


def _events(*events: bytes | Pause) -> Reply:
    return Reply(headers=wire.EVENT_STREAM, chunks=events, framing="chunked")


_TOO_LONG = _no(400, "context_length_exceeded")
_FILTERED = _no(400, "content_filter")
_CUT = Reply(headers=wire.EVENT_STREAM, chunks=[*SAID, Pause(0.02), FIN], framing="chunked")
_DIVERGED = _events(*wire.chat_events(_OTHER, usage=True))

CASES = {
    "429 with Retry-After: 2, and no other": Case(
        one=[_no(429, None, ("retry-after", "2"))],
        model=TWICE,
        alone=True,
        tried=[("one", "rate_limit"), ("one", None)],
        costs=[0, ALL],
        seconds=(2.0, 3.5),
    ),
    "429 with Retry-After: 2, and another": Case(
        one=[_no(429, None, ("retry-after", "2"))],
        model=TWICE,
        tried=[("one", "rate_limit"), ("two", None)],
        costs=[0, DEARER * ALL],
    ),
    "429 with a Retry-After that is too long": Case(
        one=[_no(429, None, ("retry-after", "6"))],
        model=TWICE,
        alone=True,
        tried=[("one", "rate_limit")],
        costs=[0],
        status=429,
        text="",
    ),
    "429 for ever, and no other": Case(
        one_ever=_no(429),
        model=TWICE,
        alone=True,
        tried=[("one", "rate_limit")] * 2,
        costs=[0, 0],
        status=429,
        text="",
    ),
    "429 for ever, from both": Case(
        one_ever=_no(429),
        two_ever=_no(429),
        tried=[("one", "rate_limit"), ("two", "rate_limit")],
        costs=[0, 0],
        status=429,
        text="",
    ),
    "one 500": Case(
        one=[_no(500)], model=TWICE, tried=[("one", "server"), ("one", None)], costs=[0, ALL]
    ),
    "one 500 before a stream": Case(
        one=[_no(500)],
        model=TWICE,
        stream=True,
        tried=[("one", "server"), ("one", None)],
        costs=[0, ALL],
    ),
    "503 for ever, from both": Case(
        one_ever=_no(503),
        two_ever=_no(503),
        model=TWICE,
        tried=[("one", "overloaded"), ("one", "overloaded"), ("two", "overloaded")],
        costs=[0, 0, 0],
        status=503,
        text="",
    ),
    "503 for ever, then 500: the last is told": Case(
        one_ever=_no(503),
        two_ever=_no(500),
        tried=[("one", "overloaded"), ("two", "server")],
        costs=[0, 0],
        status=500,
        text="",
    ),
    "no more tries than max_attempts": Case(
        one_ever=_no(503),
        model={**TWICE, "fallback": {"max_attempts": 2}},
        tried=[("one", "overloaded")] * 2,
        costs=[0, 0],
        status=503,
        text="",
    ),
    "no try after the total": Case(
        one_ever=_no(503, None, ("retry-after", "1")),
        model={**TWICE, "fallback": {"total": "500ms", "on": ["timeout"]}},
        tried=[("one", "overloaded")],
        costs=[0],
        status=503,
        text="",
        seconds=(0.0, 0.45),
    ),
    "a malformed event, as it came": Case(
        one=[_events(*EVENTS[:3], _MALFORMED, *EVENTS[3:])],
        alone=True,
        stream=True,
        tried=[("one", None)],
        costs=[ALL],
    ),
    "a malformed event where another vendor carries on": Case(
        one=[_CUT],
        two=[_events(*EVENTS[:3], _MALFORMED, *EVENTS[3:])],
        model={"rescue": ["restart"]},
        stream=True,
        tried=[("one", "cut"), ("two", None)],
        costs=[None, DEARER * ALL],
    ),
    "no [DONE]": Case(one=[_events(*EVENTS[:-1])], stream=True, tried=[("one", None)], costs=[ALL]),
    "too long, and a larger window": Case(
        one=[_TOO_LONG],
        model={"context_window": 4000},
        second={"context_window": 8000},
        tried=[("one", "context_length"), ("two", None)],
        costs=[0, DEARER * ALL],
    ),
    "too long, and a smaller window": Case(
        one=[_TOO_LONG],
        model={"context_window": 4000},
        second={"context_window": 2000},
        tried=[("one", "context_length")],
        costs=[0],
        status=400,
        code="context_length_exceeded",
        text="",
    ),
    "too long is never asked twice": Case(
        one_ever=_TOO_LONG,
        model=TWICE,
        alone=True,
        tried=[("one", "context_length")],
        costs=[0],
        status=400,
        code="context_length_exceeded",
        text="",
    ),
    "a content filter": Case(
        one=[_FILTERED],
        tried=[("one", "content_filter")],
        costs=[0],
        status=400,
        code="content_filter",
        text="",
    ),
    "a content filter, where that is asked for": Case(
        one=[_FILTERED],
        model={"fallback": {"on": ["content_filter"]}},
        tried=[("one", "content_filter"), ("two", None)],
        costs=[0, DEARER * ALL],
    ),
    "an error that is not in `on`": Case(
        one=[_no(500)],
        model={"fallback": {"on": ["timeout"]}},
        tried=[("one", "server")],
        costs=[0],
        status=500,
        text="",
    ),
    "a 400 of the caller": Case(
        one=[_no(400, "bad")],
        model=TWICE,
        tried=[("one", "refused")],
        costs=[0],
        status=400,
        code="bad",
        text="",
    ),
    "a 422 of the caller": Case(
        one=[_no(422)], model=TWICE, tried=[("one", "refused")], costs=[0], status=422, text=""
    ),
    "a prefill that the other refuses": Case(
        one=[_CUT],
        two=[_no(400, "no_prefill")],
        model={"rescue": ["prefill"]},
        second={"capabilities": ["chat", "prefill"]},
        stream=True,
        tried=[("one", "cut"), ("two", "refused")],
        costs=[None, 0],
        code="upstream_cut",
        text="".join(wire.WORDS[:6]),
    ),
    "a prefill that the other refuses, then a restart": Case(
        one=[_CUT],
        two=[_no(400, "no_prefill")],
        model={"rescue": ["prefill", "restart"]},
        second={"capabilities": ["chat", "prefill"]},
        stream=True,
        tried=[("one", "cut"), ("two", "refused"), ("two", None)],
        costs=[None, 0, DEARER * ALL],
    ),
    "a restart that says something else": Case(
        one=[_CUT],
        two=[_DIVERGED],
        model={"rescue": ["restart"]},
        stream=True,
        tried=[("one", "cut"), ("two", "diverged")],
        costs=[None, None],
        code="upstream_cut",
        text="".join(wire.WORDS[:6]),
    ),
    "both break off": Case(
        one=[_CUT],
        two=[_CUT],
        model={"rescue": ["restart"]},
        stream=True,
        tried=[("one", "cut"), ("two", "cut")],
        costs=[None, None],
        code="upstream_cut",
        text="".join(wire.WORDS[:6]),
    ),
    "an answer of another type": Case(
        one=[Reply(body=wire.chat_body(), headers=[("content-type", "text/plain")])],
        tried=[("one", None)],
        costs=[ALL],
    ),
    "JSON in place of a stream": Case(
        one=[Reply(body=wire.chat_body())], stream=True, tried=[("one", None)], costs=[ALL]
    ),
}
