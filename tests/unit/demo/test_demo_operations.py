"""The other operations of the demo vendor, judged by the official SDK."""

import base64
import io
import math
import warnings
import wave
import zlib
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from proxy.base import jsonio
from proxy.demo.content import Request
from proxy.demo.operations import OPERATIONS, answered, handler_of, path_of, unknown

Ask = Callable[..., tuple[int, Any]]


def _cosine(one: list[float], other: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


async def test_embeddings_are_unit_vectors_alike_in_both_encodings(client: AsyncOpenAI) -> None:
    texts = ["a red fox runs", "the red fox", "completely different"]
    coded = await client.embeddings.create(model="m", input=texts)
    plain = await client.embeddings.create(model="m", input=texts, encoding_format="float")
    vectors = [item.embedding for item in plain.data]
    for vector, item in zip(vectors, coded.data, strict=True):
        assert len(vector) == 256
        assert math.isclose(_cosine(vector, vector), 1.0)
        assert item.embedding == pytest.approx(vector, abs=1e-6)
    assert _cosine(vectors[0], vectors[1]) > _cosine(vectors[0], vectors[2])
    assert plain.usage.total_tokens == plain.usage.prompt_tokens == 13


@pytest.mark.parametrize(("given", "count"), [("a", 1), ([1, 2], 1), ([[1], [2, 3]], 2), ([""], 1)])
def test_embedding_inputs_and_dimensions(ask: Ask, given: Any, count: int) -> None:
    _, found = ask("embeddings", model="m", input=given, dimensions=8)
    assert [len(item["embedding"]) for item in found["data"]] == [8] * count
    assert [item["index"] for item in found["data"]] == list(range(count))


def test_moderations(ask: Ask) -> None:
    _, found = ask("moderations", input=["a nice day", "so much VIOLENCE"])
    assert [result["flagged"] for result in found["results"]] == [False, True]
    assert found["results"][1]["categories"]["violence"] is True
    assert found["results"][1]["categories"]["hate"] is False


async def test_moderation_of_parts_is_one_judgement(client: AsyncOpenAI) -> None:
    parts: Any = [
        {"type": "text", "text": "hate"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    found = await client.moderations.create(input=parts)
    assert [result.categories.hate for result in found.results] == [True]


async def test_images_are_real_pngs(client: AsyncOpenAI) -> None:
    made = await client.images.generate(
        model="m", prompt="a fox", n=2, response_format="url", size="1024x1024"
    )
    assert made.data is not None
    pictures = [base64.b64decode(image.b64_json or "") for image in made.data]
    assert len(set(pictures)) == 2
    for picture in pictures:
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        at = 8
        kinds = []
        while at < len(picture):
            size = int.from_bytes(picture[at : at + 4], "big")
            kind, data = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
            checksum = picture[at + 8 + size : at + 12 + size]
            assert zlib.crc32(kind + data).to_bytes(4, "big") == checksum
            if kind == b"IDAT":
                assert len(zlib.decompress(data)) == 16 * (1 + 16 * 3)
            kinds.append(kind)
            at += 12 + size
        assert kinds == [b"IHDR", b"IDAT", b"IEND"]
    assert made.usage is not None and made.usage.total_tokens == 2 + 128


async def test_image_edits_take_forms(client: AsyncOpenAI) -> None:
    made = await client.images.edit(model="m", image=("a.png", b"\x89PNG"), prompt="redder", n=2)
    assert made.data is not None and len(made.data) == 2
    with pytest.raises(openai.BadRequestError) as caught:
        await client.post("/images/edits", body={"model": "m"}, cast_to=object)
    assert caught.value.param == "prompt"


@pytest.mark.parametrize("form", ["mp3", "wav"])
async def test_speech_is_a_wav(client: AsyncOpenAI, form: Any) -> None:
    answer = await client.audio.speech.create(
        model="m", voice="alloy", input="three little words", response_format=form
    )
    assert answer.response.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (24000, 2, 1)
        assert sound.getnframes() == 3 * 1200
        samples = sound.readframes(10_000)
    raw = await client.audio.speech.create(
        model="m", voice="alloy", input="three little words", response_format="pcm"
    )
    assert raw.content == samples


async def test_transcripts_name_the_size_in_every_format(client: AsyncOpenAI) -> None:
    sound = ("a.wav", b"RIFF\r\n--nearly a boundary" * 1000)
    said = "The demo vendor heard a file of 25000 bytes."
    plain = await client.audio.transcriptions.create(model="m", file=sound)
    assert plain.text == said
    assert plain.usage is not None and plain.usage.type == "tokens"
    assert plain.usage.total_tokens == plain.usage.input_tokens + plain.usage.output_tokens
    verbose = await client.audio.transcriptions.create(
        model="m", file=sound, response_format="verbose_json"
    )
    assert (verbose.text, verbose.duration) == (said, 1.562)
    srt = await client.audio.transcriptions.create(model="m", file=sound, response_format="srt")
    assert srt == f"1\n00:00:00,000 --> 00:00:01,562\n{said}\n\n"
    vtt = await client.audio.transcriptions.create(model="m", file=sound, response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.562\n")
    text = await client.audio.transcriptions.create(model="m", file=sound, response_format="text")
    assert text == f"{said}\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Some SDKs deprecate it; it is served.
        english = await client.audio.translations.create(model="m", file=sound)
    assert english.text == said.replace("heard", "translated")


async def test_transcripts_stream(client: AsyncOpenAI) -> None:
    stream = await client.audio.transcriptions.create(
        model="m", file=("a.wav", b"12345"), stream=True
    )
    events = [event async for event in stream]
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    last = events[-1]
    assert last.type == "transcript.text.done"
    assert "".join(deltas) == last.text == "The demo vendor heard a file of 5 bytes."


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        ("application/json", b"{}", 400),
        ("multipart/form-data", b"--x--", 400),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nno disposition\r\n\r\na\r\n--x--\r\n", 400),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 400),
        (
            'Multipart/Form-Data; boundary="x"',
            b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
            b'--x\r\ncontent-type: audio/wav\r\ncontent-disposition: form-data; name="file"; '
            b'filename="a"\r\n\r\nabc\r\n--x--\r\n',
            200,
        ),
    ],
)
def test_forms_good_and_bad(media: str, body: bytes, status: int) -> None:
    handler = OPERATIONS["POST", "audio/transcriptions"]
    assert answered(handler, Request("audio/transcriptions", media, body)).status == status


def test_rerank_puts_shared_words_first(ask: Ask) -> None:
    _, found = ask(
        "rerank",
        model="m",
        query="red fox",
        documents=["blue sky", "a red fox", {"text": "fox hunts at night in the red hills"}],
        top_n=2,
        return_documents=True,
    )
    assert [result["index"] for result in found["results"]] == [1, 2]
    scores = [result["relevance_score"] for result in found["results"]]
    assert 1.0 >= scores[0] > scores[1] >= 0.0
    assert found["results"][0]["document"] == {"text": "a red fox"}


async def test_models(client: AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert "demo-1" in names
    assert (await client.models.retrieve("demo-1")).owned_by == "demo"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"


async def test_what_it_cannot_do_is_said_with_what_it_can(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="POST /v1/chat/completions") as caught:
        await client.batches.list()
    assert caught.value.code == "unknown_url"
    assert unknown("DELETE", "models").status == 404


@pytest.mark.parametrize("target", ["/v1/models", "/models/", "/v2/models?limit=2"])
def test_paths_with_and_without_version(target: str) -> None:
    assert handler_of("GET", path_of(target)) is not None


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("embeddings", {"model": "m"}, "input"),
        ("embeddings", {"model": "m", "input": {}}, "input"),
        ("embeddings", {"model": "m", "input": []}, "input"),
        ("embeddings", {"model": "m", "input": ["a", 1]}, "input[1]"),
        ("embeddings", {"model": "m", "input": "a", "dimensions": 0}, "dimensions"),
        ("embeddings", {"model": "m", "input": "a", "encoding_format": "x"}, "encoding_format"),
        ("embeddings", {"model": "m", "input": ["a"] * 2048, "dimensions": 3000}, "input"),
        ("completions", {"model": "m", "prompt": 1}, "prompt"),
        ("completions", {"model": "m", "prompt": []}, "prompt"),
        ("completions", {"model": "m", "prompt": ["a"] * 100, "n": 2}, "n"),
        ("moderations", {}, "input"),
        ("moderations", {"input": []}, "input"),
        ("moderations", {"input": [{"type": "text"}]}, "input[0].text"),
        ("images/generations", {"model": "m"}, "prompt"),
        ("images/generations", {"prompt": "a", "n": 11}, "n"),
        ("images/generations", {"prompt": "a", "stream": True}, "stream"),
        ("audio/speech", {"model": "m", "input": "a"}, "voice"),
        (
            "audio/speech",
            {"model": "m", "input": "a", "voice": "v", "response_format": "au"},
            "response_format",
        ),
        ("rerank", {"model": "m", "query": "q"}, "documents"),
        ("rerank", {"model": "m", "query": "q", "documents": [1]}, "documents[0]"),
    ],
)
def test_bad_fields_of_other_operations(
    ask: Ask, path: str, fields: dict[str, Any], param: str
) -> None:
    status, answer = ask(path, **fields)
    assert status == 400
    assert answer["error"]["param"] == param


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'{"a":' * 600 + b"1" + b"}" * 600,
        b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
@pytest.mark.parametrize("path", ["chat/completions", "responses", "embeddings", "rerank"])
def test_bodies_that_are_no_json_objects(path: str, body: bytes) -> None:
    content = answered(OPERATIONS["POST", path], Request(path, "application/json", body))
    assert content.status == 400
    assert jsonio.loads(content.parts[0])["error"]["type"] == "invalid_request_error"
