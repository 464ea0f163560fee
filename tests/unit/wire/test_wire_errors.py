"""Error answers: OpenAI's shape whatever the words, and no key in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.errors import BadRequest, InternalError, ProxyError, Refused, TimedOut
from proxy.base.jsonio import loads
from proxy.wire.errors import (
    envelope,
    event,
    has_key,
    is_openai_shape,
    message_in,
    without_keys,
)

KEY = "sk-proj-abcdef1234567890"


@pytest.mark.parametrize(
    ("error", "shape"),
    [
        (
            BadRequest("words", code="c", param="p"),
            {"message": "words", "type": "invalid_request_error", "param": "p", "code": "c"},
        ),
        (
            InternalError("oh"),
            {"message": "oh", "type": "api_error", "param": None, "code": "internal_error"},
        ),
        (
            TimedOut("late", phase="idle"),
            {"message": "late", "type": "timeout", "param": None, "code": "upstream_timeout"},
        ),
    ],
)
def test_envelope(error: ProxyError, shape: dict[str, str | None]) -> None:
    assert loads(envelope(error)) == {"error": shape}


def test_a_ready_body_is_sent_as_it_is() -> None:
    assert envelope(Refused(400, "words", body=b'{"error": {}}')) == b'{"error": {}}'


@given(st.text(st.characters()))
def test_any_words_can_be_sent(words: str) -> None:
    """Header values reach messages, and what is not UTF-8 in them as lone surrogates."""
    sent = loads(envelope(BadRequest(words)))["error"]["message"]
    assert sent == words.encode("utf-8", "replace").decode()


def test_event_is_one_event_without_done() -> None:
    sent = event(BadRequest("two\nlines"))
    assert sent.startswith(b'event: error\ndata: {"error":')
    assert sent.endswith(b"\n\n")
    assert sent.count(b"\n") == 3
    assert b"[DONE]" not in sent


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (b'{"error":{"message":"m"}}', True),
        (b'{"error":{"message":null}}', False),
        (b'{"error":"m"}', False),
        (b'[{"error":{"message":"m"}}]', False),
        (b"<html>", False),
        (b"", False),
        (b"[" * 100_000, False),
        (b'{"error":{"message":"\xff"}}', False),
    ],
)
def test_is_openai_shape(body: bytes, shape: bool) -> None:
    assert is_openai_shape(body) is shape


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message":"m"}', "m"),
        (b'{"error":"e","detail":"d"}', "e"),
        (b'{"error":{"x":1},"detail":"d"}', "d"),
        (b'{"message":""}', None),
        (b'{"detail":[1]}', None),
        (b'["m"]', None),
        (b"<h1>Bad Gateway</h1>", None),
        (b"", None),
        (b'{"message":"bad key ' + KEY.encode() + b'"}', "bad key ***"),
        (b'{"message":"' + b"m" * 5000 + b'"}', "m" * 1000),
    ],
)
def test_message_in(body: bytes, words: str | None) -> None:
    assert message_in(body) == words


@pytest.mark.parametrize(
    ("words", "clean"),
    [
        (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: ***."),
        ("Incorrect API key provided: sk-ab***********yz.", "Incorrect API key provided: ***."),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("gsk-ABCDEF012345 and xai-ABCDEF012345", "*** and ***"),
        ("use tasks, not sk-1", "use tasks, not sk-1"),
        ("a risk-averse task-manager", "a risk-averse task-manager"),
    ],
)
def test_keys_are_blotted_out(words: str, clean: str) -> None:
    assert without_keys(words) == clean
    assert has_key(words.encode()) is (words != clean)


@pytest.mark.parametrize("secret", [KEY, "Bearer abc", "bearer  x.y.z", "Bearer a\\nb"])
def test_blotting_leaves_json_whole(secret: str) -> None:
    body = f'{{"error":{{"message":"no such key {secret}","type":"t"}}}}'
    cleaned = loads(without_keys(body))
    assert cleaned["error"]["type"] == "t"
    assert cleaned["error"]["message"].startswith("no such key ***")
