"""The access line: metadata of every request, and never a key or a word of what was said."""

from typing import Any

import pytest

from proxy.base import jsonio
from proxy.telemetry.access import access_line
from proxy.wire.record import Content
from tests.unit.telemetry.records import record, refused

KEY = "sk-canary0123456789abcdef"
PROMPT = "canary prompt text"


def line(**changes: Any) -> dict[str, Any]:
    raw = access_line(record(**changes))
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n") == 1
    found = jsonio.loads(raw)
    assert isinstance(found, dict)
    return found


def test_the_line() -> None:
    assert line() == {
        "time": "2025-10-09T08:53:20+00:00",
        "level": "info",
        "logger": "llm-proxy.access",
        "request": "req_1",
        "operation": "chat",
        "status": 200,
        "outcome": "completed",
        "duration_ms": 1500.0,
        "first_token_ms": 500.0,
        "overhead_ms": 0.3,
        "key": "alice",
        "team": "blue",
        "user": "a@example.org",
        "session": "s-1",
        "tags": ["x", "y"],
        "model": "fast",
        "provider": "backup",
        "served_model": "claude-sonnet-4-5",
        "attempts": 2,
        "reasons": ["overloaded"],
        "stream": True,
        "bytes_in": 75,
        "bytes_out": 900,
        "tokens_in": 19,
        "tokens_out": 41,
        "usage_source": "upstream",
        "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span": "00f067aa0ba902b7",
        "worker": "w1",
        "config": "c7",
        "cost_nano_usd": 1_234_567,
    }


def test_a_refusal_says_why() -> None:
    found = jsonio.loads(access_line(refused()))
    assert (found["status"], found["code"], found["outcome"]) == (401, "invalid_api_key", "refused")
    assert "provider" not in found


def test_no_price_is_not_a_price_of_nothing() -> None:
    assert "cost_nano_usd" not in line(cost=None)
    assert line(cost=0)["cost_nano_usd"] == 0


def test_what_was_said_is_not_in_it() -> None:
    raw = access_line(record(content=Content(input=PROMPT, output=PROMPT)))
    assert PROMPT.encode() not in raw


@pytest.mark.parametrize("field", ["model", "customer", "agent", "session", "served_model"])
@pytest.mark.parametrize("pad", [0, 100, 500])
def test_a_key_in_a_wrong_field_is_redacted(field: str, pad: int) -> None:
    raw = access_line(record(**{field: "x" * pad + " " + KEY, "route": None}))
    assert b"canary" not in raw


def test_a_key_among_the_tags_is_redacted() -> None:
    assert line(tags=("a", KEY))["tags"] == ["a", "sk-***"]


def test_what_callers_choose_is_cut_and_cannot_break_the_line() -> None:
    found = line(model="m\n" * 10_000, route=None)
    assert len(found["model"]) == 129
