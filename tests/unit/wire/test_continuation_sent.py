"""What was sent of a stream, read when somebody asks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.errors import Cut
from proxy.base.jsonio import dumps
from proxy.wire.continuation_sent import LONGEST, Sent
from proxy.wire.errors import event as error_event
from tests.fakes.openai_wire import CREATED, MODEL, chat_events, tool_call_events


def chunk(delta: object, finish: str | None = None, /, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    found = {"id": "chatcmpl-1", "created": 5, "model": "m", "choices": [choice]}
    return b"data: " + dumps(found | more) + b"\n\n"


def after(*events: bytes) -> Sent:
    sent = Sent()
    for event in events:
        sent.feed(event)
    return sent


def test_a_stream_that_was_cut() -> None:
    sent = after(*chat_events("One", " two", "")[:-2])
    assert sent.can_continue
    assert sent.text == "One two"
    assert (sent.id, sent.created, sent.model) == ("chatcmpl-123", CREATED, MODEL)
    assert sent.role
    assert sent.choices == 1


def test_nothing_sent_yet_can_be_continued() -> None:
    sent = Sent()
    assert sent.can_continue
    assert (sent.text, sent.id, sent.role, sent.choices) == ("", None, False, 0)


def test_it_is_read_again_when_more_has_come() -> None:
    sent = after(chunk({"role": "assistant", "content": "a"}))
    assert sent.text == "a"
    sent.feed(chunk({"content": "b"}))
    assert sent.text == "ab"
    sent.feed(chunk({}, "stop"))
    assert not sent.can_continue


def test_harmless_extras_are_still_text() -> None:
    sent = after(
        b": ping\n\n",
        b"data: " + dumps({"id": "", "choices": [], "prompt_filter_results": [1]}) + b"\n\n",
        chunk({"role": "assistant", "content": None, "refusal": None, "tool_calls": []}),
        chunk({"content": "a"}, x_groq={"id": "1"}, system_fingerprint="f"),
        b'data:{"choices":[{"delta":{"content":"b"},"content_filter_results":{"hate":1}}]}\r\n\r\n',
        b'event: message\ndata: {"choices":\ndata: [{"index":0,"delta":{"content":"c"}}]}\n\n',
    )
    assert sent.can_continue
    assert sent.text == "abc"
    assert sent.id == "chatcmpl-1"


NOT_TEXT: dict[str, bytes] = {
    "tools": tool_call_events()[0],
    "function": chunk({"function_call": {"name": "f"}}),
    "refusal": chunk({"refusal": "I"}),
    "audio": chunk({"audio": {"id": "a"}}),
    "reasoning": chunk({"reasoning_content": "hm"}),
    "parts": chunk({"content": [{"type": "text", "text": "x"}]}),
    "probabilities": chunk(
        {}, choices=[{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [1]}}]
    ),
    "second choice": chunk({}, choices=[{"index": 1, "delta": {"content": "a"}}]),
    "no index": chunk({}, choices=[{"index": "0", "delta": {"content": "a"}}]),
    "no delta": chunk({}, choices=[{"index": 0, "delta": 1}]),
    "no choice": chunk({}, choices=[1]),
    "finished": chunk({"content": "a"}, "length"),
    "done": b"data: [DONE]\n\n",
    "error": error_event(Cut("cut")),
    "malformed": b"data: {oops\n\n",
    "list": b"data: []\n\n",
}


@pytest.mark.parametrize("event", NOT_TEXT.values(), ids=NOT_TEXT)
def test_what_cannot_be_carried_on(event: bytes) -> None:
    sent = after(chunk({"role": "assistant", "content": "a"}))
    assert sent.can_continue
    sent.feed(event)
    assert not sent.can_continue


def test_it_keeps_only_so_much() -> None:
    sent = Sent()
    event = chunk({"content": "x" * 1000})
    for _ in range(LONGEST // len(event)):
        sent.feed(event)
    assert not sent.overflow
    sent.feed(event)
    sent.feed(event)
    assert sent.overflow
    assert not sent.can_continue
    assert sent.text == ""


@pytest.mark.parametrize(("text", "prefill"), [("a b \n", "a b"), ("  a", "  a"), (" \n", "")])
def test_a_prefill_does_not_end_in_white_space(text: str, prefill: str) -> None:
    assert after(chunk({"content": text})).prefill == prefill


@given(st.lists(st.text(max_size=5), max_size=8), st.sets(st.integers(0, 8)))
def test_the_text_is_all_that_was_said(words: list[str], looks: set[int]) -> None:
    sent = Sent()
    for at, word in enumerate(words):
        sent.feed(chunk({"content": word}))
        if at in looks:
            assert sent.text == "".join(words[: at + 1])
    assert sent.text == "".join(words)


@given(st.binary(max_size=80))
def test_whatever_was_sent_nothing_is_raised(data: bytes) -> None:
    sent = after(data)
    assert isinstance(sent.text, str)
    assert isinstance(sent.can_continue, bool)
