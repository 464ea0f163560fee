"""The words of a stream, whatever its pieces are: as the answer would be without streaming."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base import jsonio
from proxy.wire import operations as op
from proxy.wire.content import LONGEST
from proxy.wire.spoken import Spoken


def event(value: Any) -> bytes:
    return b"data: " + jsonio.dumps(value) + b"\n\n"


def delta(**fields: Any) -> bytes:
    reason = fields.pop("reason", None)
    index = fields.pop("index", 0)
    return event({"choices": [{"index": index, "delta": fields, "finish_reason": reason}]})


def said(operation: op.Operation, *pieces: bytes) -> Any:
    spoken = Spoken(operation)
    for piece in pieces:
        spoken.feed(piece)
    text = spoken.text()
    return jsonio.loads(text) if text is not None else None


CHAT = (
    b": comment\n\n",
    delta(role="assistant", content=""),
    delta(content="Grü"),
    delta(content="ße", index=1),
    delta(content="n"),
    delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a"'}}]),
    delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]),
    delta(reason="tool_calls"),
    event({"choices": [], "usage": {"prompt_tokens": 1}}),
    b"data: [DONE]\n\n",
)
CHAT_SAID = {
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Grün",
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a":1}'},
                    }
                ],
            },
            "finish_reason": "tool_calls",
        },
        {"index": 1, "message": {"role": "assistant", "content": "ße"}, "finish_reason": None},
    ]
}


def test_a_chat_is_put_together() -> None:
    assert said(op.CHAT, *CHAT) == CHAT_SAID


@given(st.lists(st.integers(0, 600), max_size=6))
def test_pieces_may_be_split_anywhere(cuts: list[int]) -> None:
    whole = b"".join(CHAT)
    places = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    pieces = [whole[a:b] for a, b in pairwise(places)]
    assert said(op.CHAT, *pieces) == CHAT_SAID


def test_completions_have_texts() -> None:
    pieces = [event({"choices": [{"index": 0, "text": word}]}) for word in ("a ", "b")]
    assert said(op.COMPLETIONS, *pieces) == {
        "choices": [{"index": 0, "text": "a b", "finish_reason": None}]
    }


def test_thoughts_and_refusals_are_words() -> None:
    kept = said(op.CHAT, delta(reasoning_content="hm"), delta(refusal="no"))
    assert kept["choices"][0]["message"] == {
        "role": "assistant",
        "reasoning_content": "hm",
        "refusal": "no",
    }


def test_a_response_is_put_together() -> None:
    def told(kind: str, place: int, **fields: Any) -> bytes:
        return event({"type": f"response.{kind}", "output_index": place, **fields})

    kept = said(
        op.RESPONSES,
        told("output_item.added", 0, item={"type": "reasoning", "summary": []}),
        told("reasoning_summary_text.delta", 0, delta="hm"),
        told("output_item.added", 1, item={"type": "message", "role": "assistant"}),
        told("output_text.delta", 1, delta="Grü"),
        told("output_text.delta", 1, delta="n"),
        told("audio.delta", 1, delta="UklGRg=="),
        told("output_text.done", 1, text="Grün"),
        told("output_item.added", 2, item={"type": "function_call", "name": "f", "call_id": "c"}),
        told("function_call_arguments.delta", 2, delta="{}"),
        told("completed", 0, response={"output": [{"text": "all of it again"}]}),
    )
    assert kept == {
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Grün"}],
            },
            {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"},
        ]
    }


def test_a_transcript_is_put_together() -> None:
    pieces = [event({"type": "transcript.text.delta", "delta": word}) for word in ("a ", "b")]
    assert said(op.TRANSCRIPTIONS, *pieces) == {"text": "a b"}


def test_pictures_and_sound_say_nothing() -> None:
    assert said(op.IMAGES, event({"b64_json": "x"})) is None
    assert said(op.SPEECH, event({"type": "speech.audio.delta", "audio": "x"})) is None


@pytest.mark.parametrize("words", ["word ", "grün 😀 "])
def test_it_is_deaf_when_it_has_heard_enough(words: str) -> None:
    spoken = Spoken(op.CHAT)
    for _ in range(2 * LONGEST // len(words)):
        spoken.feed(delta(content=words))
    text = spoken.text()
    assert text is not None
    assert len(text.encode()) < LONGEST + 1_000
    content = jsonio.loads(text)["choices"][0]["message"]["content"]
    assert content.endswith("…")
    assert len(content.encode()) > LONGEST - 200


def test_many_choices_are_bounded() -> None:
    choices = [{"index": n, "delta": {"content": "x"}} for n in range(5_000)]
    kept = said(op.CHAT, event({"choices": choices}))
    assert len(kept["choices"]) < 1_100


def test_an_event_that_is_too_large_is_passed_over() -> None:
    large = event({"choices": [{"index": 0, "delta": {"content": "x" * 400_000}}]})
    pieces = [large[at : at + 50_000] for at in range(0, len(large), 50_000)]
    kept = said(op.CHAT, delta(content="a"), *pieces, delta(content="b"))
    assert kept["choices"][0]["message"]["content"] == "ab"


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
)
names = st.sampled_from(
    (
        *("choices", "index", "delta", "content", "text", "tool_calls", "function", "arguments"),
        *("finish_reason", "type", "output_index", "item", "id", "name"),
    )
)
kinds = st.sampled_from(("response.output_text.delta", "response.output_item.added"))
trees = st.recursive(
    scalars | kinds,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=15,
)


@given(st.sampled_from((op.CHAT, op.RESPONSES, op.TRANSCRIPTIONS)), st.lists(trees, max_size=4))
def test_nothing_a_vendor_sends_is_fatal(operation: op.Operation, events: list[Any]) -> None:
    said(operation, *map(event, events))


@given(st.binary(max_size=60))
def test_no_bytes_are_fatal(data: bytes) -> None:
    said(op.CHAT, b"data:" + data + b"\n\n", data)


def test_keys_are_blotted_out() -> None:
    kept = said(op.CHAT, delta(content="it is sk-abcd"), delta(content="ef0123456789."))
    assert kept["choices"][0]["message"]["content"] == "it is sk-***"
