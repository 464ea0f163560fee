"""What is found in the bytes of a request, wherever it stands and however it is written."""

import json  # noqa: TID251 - as a caller would who escapes all that is not ASCII.
import time  # Processor time, which base.clock does not tell.
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.base import jsonio
from proxy.routing.scan import Seeker, said, unescaped
from proxy.routing.scan_code import contains_code
from proxy.routing.scan_maths import contains_maths
from tests.unit.routing.asking import chat, facts
from tests.unit.routing.prompts import PROMPTS, Prompt

PROSE = "Explain in plain words how a reverse proxy decides where a request goes, and why. "
MEGABYTE = 1_000_000
PNG = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUg" * 5000


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.text[:40] or "nothing")
def test_prompts_are_known_for_what_they_are(prompt: Prompt) -> None:
    for body in (jsonio.dumps(chat(prompt.text)), json.dumps(chat(prompt.text)).encode()):
        found = facts(body)
        assert (found.contains_code, found.contains_math, found.language) == prompt[1:]


def test_the_table_is_worth_its_name() -> None:
    assert len(PROMPTS) >= 60
    for column in (1, 2):
        assert 10 < sum(bool(prompt[column]) for prompt in PROMPTS) < 50


def image(**more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": PNG}, **more}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRiQAAABXQVZF" * 9000, "format": "wav"}}


@pytest.mark.parametrize(
    ("content", "media"),
    [
        ("just words", set()),
        ("image_url", set()),
        ('he said "type": "image_url" to me', set()),
        ([words("a"), words("b")], set()),
        ([words("a"), image()], {"image"}),
        ([{"image_url": {"url": PNG}, "type": "image_url"}], {"image"}),
        ([image(), image(), words("a"), AUDIO], {"image", "audio"}),
        ([{"type": "input_image", "image_url": PNG}], {"image"}),
        ([words(PROSE * 13000), image()], {"image"}),
        ([image(), words(PROSE * 13000), AUDIO], {"image", "audio"}),
        ([words("a")] * 400 + [image()], {"image"}),
        ([words("a")] * 400, set()),
        ([words('"' * 600_000), image()], {"image"}),
    ],
)
def test_pictures_and_sound_are_seen(content: object, media: set[str]) -> None:
    assert facts(chat(content)).modality == {"text"} | media


def test_base64_is_neither_counted_nor_read() -> None:
    found = facts(chat([image(), words("What is on this picture?"), image(), AUDIO]))
    assert found.content_tokens == 6
    assert found.prompt == "What is on this picture?"
    assert found.language == "en"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("abc", 1), ("a" * 4000, 1000), ("é" * 4000, 2000), ("\n" * 4000, 1000)],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_tokens_are_a_quarter_of_the_bytes(text: str, tokens: int, ascii_only: bool) -> None:
    body = json.dumps(chat(text), ensure_ascii=ascii_only).encode()
    assert facts(body).content_tokens == pytest.approx(tokens, rel=0.001)


@pytest.mark.parametrize(
    "text", [PROSE * 13000, (PROSE + "\n") * 13000, "请用简单的语言。" * 40000]
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_long_texts_are_estimated_by_their_density(text: str, ascii_only: bool) -> None:
    body = json.dumps(chat(text), ensure_ascii=ascii_only).encode()
    assert facts(body).content_tokens == pytest.approx(len(text.encode()) / 4, rel=0.03)


def test_many_messages_are_counted_by_their_words() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": PROSE}] * 5000}
    assert facts(body).content_tokens == pytest.approx(len(PROSE) * 5000 / 4, rel=0.03)


@pytest.mark.parametrize("end", ["```python\nx\n```", "Solve for x: 3x + 5 = 20"])
@pytest.mark.parametrize("before", [0, 5000, 100_000, MEGABYTE])
def test_both_ends_are_read(end: str, before: int) -> None:
    text = PROSE * (before // len(PROSE))
    for whole in (text + end, end + "\n" + text):
        found = facts(chat(whole))
        assert (found.contains_code, found.contains_math) == ("python" in end, "Solve" in end)


def test_a_fence_is_found_in_the_middle() -> None:
    half = PROSE * 6000
    assert facts(chat(f"{half}\n```sql\nx\n```\n{half}")).contains_code
    assert not facts(chat(f"{half}\n```\njust text\n```\n{half}")).contains_code


@pytest.mark.parametrize(
    "value",
    [b"", b"[", b'"', b"{}", b"[[]]", b"null", b"1", b'"\\', b'[{"content":"\\u12', b"\xff\xfe"],
)
def test_what_is_no_message_says_nothing(value: bytes) -> None:
    found = said([value])
    assert not contains_code(found)
    assert not contains_maths(found, in_code=False)


@given(st.text(max_size=60), st.integers(0, 400))
def test_a_string_that_is_cut_is_read_as_far_as_it_goes(text: str, cut: int) -> None:
    for raw in (json.dumps(text)[1:-1].encode(), jsonio.dumps(text)[1:-1]):
        found = unescaped(raw[:cut])
        assert text.startswith(found) or "\\" in found  # Half an escape of a lone surrogate pair.
        if cut >= len(raw):
            assert found == text


@settings(max_examples=60)
@given(st.text(max_size=50), st.integers(3000, 16_000))
def test_nothing_that_is_said_makes_it_fail(piece: str, size: int) -> None:
    text = (piece * (size // max(1, len(piece)) + 1))[:size]
    for content in (text, [words(text), image(), words(text)], {"content": [text]}):
        for body in (jsonio.dumps(chat(content)), json.dumps(chat(content)).encode()):
            found = facts(body)
            _ = found.content_tokens, found.contains_code, found.contains_math, found.language


@given(st.binary(max_size=300), st.sampled_from([b"```", b'"type"', b"ab"]), st.integers(0, 50))
def test_a_seeker_finds_what_find_finds(raw: bytes, wanted: bytes, at: int) -> None:
    raw = raw + wanted[:-1] + raw[:40] + wanted + raw
    assert Seeker(raw).find(wanted, at, len(raw)) == raw.find(wanted, at)


@pytest.mark.parametrize(
    "piece",
    [
        "SELECT ",
        "=> ",
        "```",
        "\\",
        "x^\n",
        "1 + \n",
        "((",
        "$a",
        "def \n",
        '"type":',
        "√\n",
        "a = ",
    ],
)
def test_no_text_is_slow(piece: str) -> None:
    raw = jsonio.dumps(chat((piece * MEGABYTE)[:MEGABYTE]))

    def seconds() -> float:
        found = facts(raw)
        begun = time.process_time()
        _ = found.content_tokens, found.contains_code, found.contains_math, found.language
        return time.process_time() - begun

    # The figure is 2 ms (bench/micro/routing.py); here only what grows with the text shows.
    assert min(seconds() for _ in range(3)) < 0.02
