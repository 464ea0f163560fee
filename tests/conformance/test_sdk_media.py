"""Embeddings, moderations, images, sound and rerank through the gateway, as the SDK sees them."""

import asyncio
from typing import Any

import pytest
from openai import AsyncOpenAI

from proxy.base import jsonio
from tests.conformance.judge import Judge, arrived
from tests.fakes.vendor import Vendor, WaitFor
from tests.integration.gateway import ALL, RENAMED, Gateway

SOUND = bytes(range(256)) * 6000  # 1.5 MB: more than is held in memory.
MODEL = "gpt-4o-mini"
OLD = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # The SDK's own.


async def test_embeddings_as_base64_which_the_sdk_asks_for(judge: Judge, vendor: Vendor) -> None:
    found = await judge.ask(lambda c: c.embeddings.create(model=MODEL, input=["a", "b"]))
    assert [item.embedding for item in found.data] == [[1.0, -0.5]] * 2
    assert vendor.requests[0].json()["encoding_format"] == "base64"
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_embeddings_as_floats(judge: Judge, vendor: Vendor) -> None:
    found = await judge.ask(
        lambda c: c.embeddings.create(model=MODEL, input="a", encoding_format="float")
    )
    assert found.data[0].embedding == [1.0, -0.5]
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_moderations(judge: Judge, vendor: Vendor) -> None:
    verdict = {"id": "modr-1", "model": MODEL, "results": [{"flagged": True, "categories": {}}]}
    vendor.say(body=jsonio.dumps(verdict))
    answer = await judge.ask(lambda c: c.moderations.create(model=MODEL, input="x"))
    assert answer.results[0].flagged is True
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_moderations_without_a_model_use_the_vendor_s_default(
    judge: Judge, vendor: Vendor
) -> None:
    vendor.say(body=b'{"id":"modr-1","model":"default","results":[]}')
    answer = await judge.ask(lambda c: c.moderations.create(input="x"))
    assert answer.model == "default"
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_an_image_is_made(judge: Judge, vendor: Vendor) -> None:
    picture = {"created": 1, "data": [{"b64_json": "QUJD" * 500_000}]}
    vendor.say(body=jsonio.dumps(picture))
    answer = await judge.ask(lambda c: c.images.generate(model=MODEL, prompt="a cat"))
    assert answer.data[0].b64_json == "QUJD" * 500_000
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_a_streamed_image(judge: Judge, vendor: Vendor) -> None:
    def event(kind: str) -> bytes:
        fields = {"type": kind, "b64_json": "QUJD" * 300_000}
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), jsonio.dumps(fields))

    kinds = ["image_generation.partial_image", "image_generation.completed"]
    vendor.say(
        headers=[("content-type", "text/event-stream")], chunks=[event(kind) for kind in kinds]
    )
    events = await judge.all(lambda c: c.images.generate(model=MODEL, prompt="a cat", stream=True))
    assert [each.type for each in events] == kinds
    assert all(each.b64_json == "QUJD" * 300_000 for each in events)


@pytest.mark.parametrize("model", [MODEL, "renamed"])
async def test_images_are_edited(judge: Judge, vendor: Vendor, model: str) -> None:
    vendor.say(body=b'{"created":1,"data":[{"b64_json":"QQ=="}]}')
    files = [("a.png", SOUND), ("b.png", b"png")]
    answer = await judge.ask(lambda c: c.images.edit(model=model, image=files, prompt="more"))
    assert answer.data[0].b64_json == "QQ=="
    assert_same_form(judge, vendor, model)


@OLD
async def test_an_image_is_varied(judge: Judge, vendor: Vendor) -> None:
    vendor.say(body=b'{"created":1,"data":[]}')
    await judge.ask(lambda c: c.images.create_variation(model=MODEL, image=("a.png", b"png")))
    assert_same_form(judge, vendor, MODEL)


async def test_speech_is_binary(judge: Judge, vendor: Vendor) -> None:
    vendor.say(headers=[("content-type", "audio/mpeg")], body=SOUND)
    answer = await judge.ask(lambda c: c.audio.speech.create(model=MODEL, voice="alloy", input="x"))
    assert answer.content == SOUND
    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_speech_streams(proxy: Gateway, vendor: Vendor) -> None:

    gate = asyncio.Event()
    fields = [("content-type", "audio/mpeg")]
    vendor.say(headers=fields, chunks=[SOUND[:1000], WaitFor(gate), SOUND[1000:]])
    async with (
        AsyncOpenAI(base_url=proxy.url, api_key=ALL) as client,
        client.audio.speech.with_streaming_response.create(
            model=MODEL, voice="alloy", input="x"
        ) as answer,
    ):
        heard = b""
        async for piece in answer.iter_bytes():
            heard += piece
            if len(heard) == 1000:
                gate.set()
    assert heard == SOUND


@OLD
@pytest.mark.parametrize("model", [MODEL, "renamed"])
@pytest.mark.parametrize("operation", ["transcriptions", "translations"])
async def test_sound_becomes_text(judge: Judge, vendor: Vendor, model: str, operation: str) -> None:
    vendor.say(body=b'{"text":"hello there"}')
    answer = await judge.ask(
        lambda c: getattr(c.audio, operation).create(
            model=model, file=("speech.wav", SOUND, "audio/wav"), prompt="model\r\n--x"
        )
    )
    assert answer.text == "hello there"
    assert_same_form(judge, vendor, model)


async def test_a_streamed_transcript(judge: Judge, vendor: Vendor) -> None:
    events = [
        b'data: {"type":"transcript.text.delta","delta":"hi"}\n\n',
        b'data: {"type":"transcript.text.done","text":"hi"}\n\n',
    ]
    vendor.say(headers=[("content-type", "text/event-stream")], chunks=events)
    seen = await judge.all(
        lambda c: c.audio.transcriptions.create(
            model=MODEL, file=("speech.wav", SOUND), stream=True
        )
    )
    assert [event.type for event in seen] == ["transcript.text.delta", "transcript.text.done"]


async def test_a_transcript_as_plain_text(judge: Judge, vendor: Vendor) -> None:
    vendor.say(headers=[("content-type", "text/plain; charset=utf-8")], body="caf\u00e9\n".encode())
    text = await judge.ask(
        lambda c: c.audio.transcriptions.create(
            model=MODEL, file=("speech.wav", b"RIFF"), response_format="text"
        )
    )
    assert text == "caf\u00e9\n"


async def test_rerank(judge: Judge, vendor: Vendor) -> None:
    vendor.say(body=b'{"results":[{"index":1,"relevance_score":0.9}]}')
    body = {"model": MODEL, "query": "q", "documents": ["a", "b"]}
    answer: Any = await judge.ask(lambda c: c.post("/rerank", body=body, cast_to=object))
    assert answer["results"][0]["index"] == 1
    assert arrived(vendor.requests[0]) == judge.sent[0]


def assert_same_form(judge: Judge, vendor: Vendor, model: str) -> None:
    """What reached the vendor is what the SDK sent, but for the model's name."""
    sent, came = judge.sent[0], arrived(vendor.requests[0])
    assert (came.method, came.target, came.content_type) == (
        sent.method,
        sent.target,
        sent.content_type,
    )
    if model == MODEL:
        assert came.body == sent.body
    else:
        part = b'name="model"\r\n\r\n'
        assert came.body == sent.body.replace(part + model.encode(), part + RENAMED.encode())
