"""What opens a stream: held back until it says something, or says that it will not."""

import pytest

from proxy.wire.opening import HOLD, Opening
from proxy.wire.stream_errors import data_of_error

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}],"usage":null}\n\n'
WORD = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
CREATED = (
    b'event: response.created\ndata: {"type":"response.created","response":{"error":null,%b}}\n\n'
)

SILENT = {
    "a role": ROLE,
    "a comment": b": OPENROUTER PROCESSING\n\n",
    "metadata called error": CREATED % b'"metadata":{"error":"abc"}',
    "a tool with an argument called error": CREATED
    % b'"tools":[{"parameters":{"properties":{"error":{"type":"string"}}}}]',
    "a format": CREATED % b'"text":{"format":{"type":"text"}}',
}
CONTENT = {
    "a word": WORD,
    "a reason": b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    "usage": b'data: {"choices":[],"usage":{"total_tokens":1}}\n\n',
    "the end": b"data: [DONE]\n\n",
    "a word about an error": b'data: {"choices":[{"delta":{"content":"error"}}],"error":null}\n\n',
    "a word, and then an error": WORD + b'data: {"error":{"message":"m"}}\n\n',
}
ERRORS = {
    "OpenAI's": b'{"error":{"message":"m","type":"server_error"}}',
    "a text": b'{"error":"overloaded"}',
    "OpenRouter's": b'{"id":"c","error":{"code":502,"message":"m"},'
    b'"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}',
    "a failed response": b'{"type":"response.failed","response":{"error":{"code":"c"},'
    b'"usage":{"total_tokens":1}}}',
    "of a response": b'{"type":"error","code":"server_error","message":"m"}',
}


@pytest.mark.parametrize("event", SILENT.values(), ids=SILENT)
def test_what_says_nothing_waits_for_the_first_word(event: bytes) -> None:
    opening = Opening()
    assert opening.feed(event) == b"" and opening.error is None
    assert opening.feed(WORD) == event + WORD


@pytest.mark.parametrize("event", CONTENT.values(), ids=CONTENT)
def test_content_goes_on_with_all_that_was_held(event: bytes) -> None:
    opening = Opening()
    opening.feed(ROLE)
    assert opening.feed(event) == ROLE + event and opening.error is None


@pytest.mark.parametrize("data", ERRORS.values(), ids=ERRORS)
def test_an_error_goes_nowhere_and_is_told(data: bytes) -> None:
    opening, event = Opening(), b"data: " + data + b"\n\n"
    assert opening.feed(ROLE + event + WORD) == b""
    assert opening.error == data == data_of_error(ROLE + event)


def test_an_event_that_is_called_error_is_one() -> None:
    opening = Opening()
    assert opening.feed(b"event: error\ndata: no JSON\n\n") == b""
    assert opening.error == b"no JSON"


def test_what_is_held_is_bounded() -> None:
    opening, passed, fed = Opening(), b"", b""
    while not passed:
        passed = opening.feed(ROLE)
        fed += ROLE
        assert len(fed) < HOLD + len(ROLE)
    assert passed == fed
