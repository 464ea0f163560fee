"""What is kept of prompts and answers, and what never is."""

from typing import Any

import pytest

from proxy.base import jsonio
from proxy.wire import operations as op
from proxy.wire.body import Body
from proxy.wire.content import LONGEST, answer, keeps_text, media, prompt

JSON = "application/json"
PIXELS = "iVBORw0KGgo" * 4_000


def asked(operation: op.Operation, **members: Any) -> Any:
    kept = prompt(operation, Body(jsonio.dumps({"model": "m", **members})))
    return jsonio.loads(kept) if kept is not None else None


def answered(operation: op.Operation, members: Any) -> Any:
    body = jsonio.dumps(members)
    kept = answer(operation, JSON, body, len(body))
    assert kept is not None
    return jsonio.loads(kept)


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        (op.CHAT, {"messages": [{"role": "user", "content": "grün"}]}),
        (op.COMPLETIONS, {"prompt": "a", "suffix": "b"}),
        (op.RESPONSES, {"instructions": "a", "input": [{"role": "user", "content": "b"}]}),
        (op.EMBEDDINGS, {"input": ["a", "b"]}),
        (op.MODERATIONS, {"input": "a"}),
        (op.IMAGES, {"prompt": "a"}),
        (op.SPEECH, {"input": "a", "instructions": "b"}),
        (op.RERANK, {"query": "a", "documents": ["b"]}),
    ],
)
def test_words_are_kept_and_parameters_are_not(
    operation: op.Operation, members: dict[str, Any]
) -> None:
    parameters = {"temperature": 1, "user": "u", "metadata": {"session_id": "s"}, "tools": []}
    assert asked(operation, **parameters, **members) == members


def test_a_prompt_without_words_is_none() -> None:
    assert asked(op.CHAT, messages=None) is None
    assert asked(op.TRANSCRIPTIONS, file="x") is None


def test_json_is_kept_byte_for_byte() -> None:
    body = Body(rb'{"model":"m","messages" : [ {"content":"\u00fc", "n": 1.00} ]}')
    assert prompt(op.CHAT, body) == r'{"messages":[ {"content":"\u00fc", "n": 1.00} ]}'


def test_pictures_and_sound_in_a_prompt_are_told_by_their_size() -> None:
    url = f"data:image/png;base64,{PIXELS}"
    parts = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "input_audio", "input_audio": {"data": PIXELS, "format": "wav"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PIXELS}"}},
        {"type": "text", "text": "What is it? A text of data:image/png;base64, is no picture."},
    ]
    kept = asked(op.CHAT, messages=[{"role": "user", "content": parts}])
    (message,) = kept["messages"]
    picture, sound, file, words = message["content"]
    size = f"{len(PIXELS) * 3 // 4:,} bytes"
    assert picture["image_url"]["url"] == f"<{size} of image/png>"
    assert sound["input_audio"]["data"] == f"<{size} of base64>"
    assert file["file"]["file_data"] == f"<{size} of application/pdf>"
    assert words == parts[-1]


def test_megabytes_of_pictures_hide_no_words_behind_them() -> None:
    url = "data:image/png;base64," + PIXELS * 100
    parts = [{"url": url}, {"url": url}, {"text": "What is it?"}]
    kept = asked(op.CHAT, messages=[{"role": "user", "content": parts}])
    assert kept["messages"][0]["content"][2] == {"text": "What is it?"}


@pytest.mark.parametrize(
    "said", ["word " * 40_000, "grün " * 40_000, "\\\"'" * 60_000, "\n" * 90_000]
)
def test_a_long_prompt_is_cut_and_still_json(said: str) -> None:
    body = Body(jsonio.dumps({"model": "m", "messages": [{"role": "user", "content": said}]}))
    kept = prompt(op.CHAT, body)
    assert kept is not None
    assert len(kept.encode()) <= LONGEST + 100
    (message,) = jsonio.loads(kept)["messages"]
    assert message["content"].endswith("…")
    assert said.startswith(message["content"][:-1])


def test_sound_without_an_end_in_sight_is_cut_too() -> None:
    parts = [{"text": "Listen."}, {"input_audio": {"data": PIXELS * 20}}]
    kept = asked(op.CHAT, messages=[{"role": "user", "content": parts}])
    assert kept["messages"][0]["content"][0] == {"text": "Listen."}
    assert PIXELS[:300] not in str(kept)


@pytest.mark.parametrize(
    ("operation", "name"),
    [(op.CHAT, "choices"), (op.COMPLETIONS, "choices"), (op.RESPONSES, "output"),
     (op.MODERATIONS, "results"), (op.RERANK, "results"), (op.TRANSCRIPTIONS, "text")],
)  # fmt: skip
def test_of_an_answer_only_what_was_said(operation: op.Operation, name: str) -> None:
    said = {name: ["a"]}
    assert answered(operation, {"id": "1", "usage": {"prompt_tokens": 1}, **said}) == said


@pytest.mark.parametrize(
    ("operation", "kind"),
    [(op.IMAGES, JSON), (op.EMBEDDINGS, JSON), (op.SPEECH, "audio/mpeg"), (op.CHAT, "image/png")],
)
def test_what_is_no_text_is_told_by_its_size(operation: op.Operation, kind: str) -> None:
    assert not keeps_text(operation, kind)
    assert answer(operation, kind, b"", 12_345) == f"<12,345 bytes of {kind}>"


def test_spoken_answers_lose_their_sound() -> None:
    choice = {"message": {"audio": {"data": PIXELS, "transcript": "hello"}}}
    (kept,) = answered(op.CHAT, {"choices": [choice]})["choices"]
    assert kept["message"]["audio"]["transcript"] == "hello"
    assert kept["message"]["audio"]["data"].endswith("bytes of base64>")


def test_text_is_kept_as_it_is() -> None:
    assert answer(op.TRANSCRIPTIONS, "text/vtt; charset=utf-8", "grün".encode(), 5) == "grün"
    long = answer(op.TRANSCRIPTIONS, "text/plain", b"x" * 100_000, 100_000)
    assert long == "x" * LONGEST + "…"


@pytest.mark.parametrize(
    "body", [b'{"choices":[{"message":{"content":"hel', b"[1", b"plain", b"\xff"]
)
def test_an_answer_that_cannot_be_read_is_kept_as_far_as_it_goes(body: bytes) -> None:
    kept = answer(op.CHAT, JSON, body, len(body) + 1_000_000)
    assert kept is not None
    assert "…" in kept


def test_an_empty_answer_is_none() -> None:
    assert answer(op.CHAT, JSON, b"", 0) is None


def test_keys_are_blotted_out() -> None:
    kept = asked(op.CHAT, messages=[{"content": "my key is sk-abcdef0123456789, why?"}])
    assert kept == {"messages": [{"content": "my key is sk-***, why?"}]}


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("Audio/MPEG; rate=1", "audio/mpeg"),
        ("", "an unnamed type"),
        ("<script>", "an unnamed type"),
        ("multipart/form-data; boundary=x", "multipart/form-data"),
    ],
)
def test_a_type_is_named_if_it_is_one(kind: str, named: str) -> None:
    assert media(kind, 1) == f"<1 bytes of {named}>"
    assert media(kind, None) == f"<bytes of {named}>"
