"""What an answer says, whole and streamed: the same text gives the same tokens."""

from typing import Any

import pytest

from proxy.base.jsonio import dumps
from proxy.usage.tokens.counting import MOST_BODY, MOST_TEXT, Job, count_tokens
from proxy.usage.tokens.encodings import O200K, Encodings
from proxy.usage.tokens.outputs import output_said
from proxy.usage.tokens.tally import Uncountable
from proxy.usage.tokens.transcript import BoundedTranscript
from proxy.wire.record import Usage
from tests.fakes.openai_wire import (
    WORDS,
    chat_body,
    chat_events,
    completion_body,
    completion_events,
    event,
    response_events,
    response_final,
    tool_call_events,
)

TEXT = "".join(WORDS)  # Nine tokens in o200k: each word is one.


def made(
    encodings: Encodings, body: bytes, operation: str = "chat", *, streamed: bool = False
) -> tuple[int, int]:
    said = output_said(operation, body, 1_000_000, streamed=streamed)
    encoding = encodings.get(O200K)
    return said.text.total(encoding), said.hidden.total(encoding)


def message(**fields: Any) -> bytes:
    return dumps({"choices": [{"index": 0, "message": {"role": "assistant", **fields}}]})


@pytest.mark.parametrize(
    ("operation", "body", "events"),
    [
        ("chat", chat_body(), chat_events()),
        ("completions", completion_body(TEXT), completion_events()),
        ("responses", dumps(response_final(TEXT, "m")), response_events()),
    ],
)
def test_streamed_or_not_it_is_the_same_text(
    encodings: Encodings, operation: str, body: bytes, events: list[bytes]
) -> None:
    assert made(encodings, body, operation) == (9, 0)
    assert made(encodings, b"".join(events), operation, streamed=True) == (9, 0)
    carriage = b"".join(events).replace(b"\n", b"\r\n")
    assert made(encodings, carriage, operation, streamed=True) == (9, 0)


def test_tokens_reach_across_the_pieces_of_a_stream(encodings: Encodings) -> None:
    events = b"".join(chat_events("h", "el", "lo wor", "ld"))
    assert made(encodings, events, streamed=True) == (2, 0)


def test_each_choice_counts_by_itself(encodings: Encodings) -> None:
    assert made(encodings, chat_body(n=3)) == (27, 0)
    assert made(encodings, b"".join(chat_events(n=3)), streamed=True) == (27, 0)


def test_calls_count_with_their_names(encodings: Encodings) -> None:
    function = {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    whole = made(encodings, message(content=None, tool_calls=calls))
    assert whole == (2 + 5, 0)
    assert made(encodings, b"".join(tool_call_events()), streamed=True) == whole
    assert made(encodings, message(function_call=function)) == whole


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_that_is_shown_counts_as_such(encodings: Encodings, name: str) -> None:
    assert made(encodings, message(content="hello", **{name: "hello world"})) == (1, 2)


def test_reasoning_under_two_names_counts_once(encodings: Encodings) -> None:
    both = message(reasoning="hello world", reasoning_content="hello world")
    assert made(encodings, both) == (0, 2)


def test_a_refusal_and_speech_count(encodings: Encodings) -> None:
    assert made(encodings, message(content=None, refusal="hello world")) == (2, 0)
    audio = {"data": "A" * 64_000, "transcript": "hello world"}
    said = output_said("chat", message(audio=audio), 1000, streamed=False)
    assert said.text.audio == 20  # One second.
    assert said.text.total(encodings.get(O200K)) == 22


def test_items_of_responses(encodings: Encodings) -> None:
    items = [
        {"type": "reasoning", "id": "a", "content": [{"type": "reasoning_text", "text": "hello"}]},
        {"type": "function_call", "id": "b", "name": "hello", "arguments": "hello world"},
        {"type": "message", "id": "c", "content": [{"type": "refusal", "refusal": "hello world"}]},
    ]
    assert made(encodings, dumps({"output": items}), "responses") == (5, 1)
    events = [
        event({"type": "response.reasoning_text.delta", "output_index": 0, "delta": "hello"}),
        event({"type": "response.output_item.added", "output_index": 1, "item": {"name": "hello"}}),
        event(
            {
                "type": "response.function_call_arguments.delta",
                "output_index": 1,
                "delta": "hello world",
            }
        ),
        event({"type": "response.refusal.delta", "output_index": 2, "delta": "hello world"}),
        event({"type": "response.completed", "response": {"output": items}}),
    ]
    assert made(encodings, b"".join(events), "responses", streamed=True) == (5, 1)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b'{"data":[]}', b"\xff", b'{"a":"\\ud8"}']
)
def test_no_known_shape_is_not_counted(body: bytes) -> None:
    with pytest.raises(Uncountable):
        output_said("chat", body, 1000, streamed=False)


@pytest.mark.parametrize("choices", [None, 1, [1], [{}], [{"message": 1}], [{"message": {}}]])
def test_nonsense_in_a_known_shape_says_nothing(encodings: Encodings, choices: Any) -> None:
    assert made(encodings, dumps({"choices": choices})) == (0, 0)


def test_an_answer_that_is_too_long_is_not_counted() -> None:
    with pytest.raises(Uncountable):
        output_said("chat", message(content="a" * 11), 10, streamed=False)


REQUEST = b'{"messages":[{"role":"user","content":"hello world"}]}'


def job(request: bytes = REQUEST, answer: bytes = chat_body(), operation: str = "chat") -> Job:
    return Job(operation, "gpt-4o", request, answer, streamed=False)


def test_a_job_is_counted_to_the_token(encodings: Encodings) -> None:
    assert count_tokens(job(), encodings) == Usage(9, 9)
    vectors = job(b'{"input":["hello world"]}', b'{"data":[]}', "embeddings")
    assert count_tokens(vectors, encodings) == Usage(2, 0)


def test_reasoning_and_speech_are_parts_of_the_whole(encodings: Encodings) -> None:
    audio = b'{"type":"input_audio","input_audio":{"data":"%b","format":"pcm16"}}' % (b"A" * 64_000)
    request = b'{"messages":[{"role":"user","content":[%b]}]}' % audio
    spoken = message(content="hello", reasoning="hello world", audio={"data": "A" * 64_000})
    found = count_tokens(job(request, spoken), encodings)
    assert found == Usage(7 + 10, 1 + 2 + 20, reasoning=2, audio_in=10, audio_out=20)


def test_what_is_too_large_is_not_even_parsed(encodings: Encodings) -> None:
    padding = b" " * MOST_TEXT
    assert count_tokens(job(REQUEST + padding), encodings) is None
    picture = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,%b"}}' % (
        b"A" * MOST_TEXT
    )
    request = b'{"messages":[{"role":"user","content":[%b]}]}' % picture
    assert count_tokens(job(request), encodings) == Usage(7 + 765, 9)
    assert job(b" " * (MOST_BODY + 1)).too_large
    assert not job().too_large


@pytest.mark.parametrize("request_body", [b"[", b'{"messages":[{"content":[{"type":"file"}]}]}'])
def test_what_cannot_be_counted_is_left(encodings: Encodings, request_body: bytes) -> None:
    assert count_tokens(job(request_body), encodings) is None


def test_a_transcript_keeps_all_or_nothing() -> None:
    transcript = BoundedTranscript(4)
    assert transcript.body() == b""
    transcript.feed(b"ab")
    transcript.feed(b"cd")
    assert transcript.body() == b"abcd"
    transcript.feed(b"e")
    assert transcript.body() is None
    transcript.feed(b"")
    assert transcript.body() is None
