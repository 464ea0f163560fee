"""Records of the less usual kinds: service tiers, billed units, pictures, sound."""

from contextlib import suppress

import pytest

from proxy.base.errors import Cut, ProxyError, TimedOut
from proxy.core.life import serve
from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import from_usd
from proxy.usage.prices.table import PriceTable
from proxy.usage.recording import Identity, record_of_exchange
from proxy.wire.record import UsageRecord
from tests.fakes.caller import FakeIncoming, FakeOut
from tests.fakes.exchange import simple
from tests.fakes.wire import EVENTS, JSON, FakeAnswer, FakeTransport

TABLE = PriceTable(in_force)
PRICES = Pricer(
    TABLE,
    {"p": Vendor("openai", "https://api.openai.com/v1")},
    {
        ("p", "rerank"): from_usd({"request": "0.002"}),
        ("p", "painter"): from_usd({"image": "0.04"}),
        ("p", "paid-by-token"): from_usd({"input": 2}),
    },
)
USAGE = b'"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}'
STANDARD = 1000 * 2_500 + 100 * 10_000
PRIORITY = 1000 * 4_250 + 100 * 17_000
CHUNK = b'data: {"service_tier":"priority","choices":[{"delta":{"content":"12345678"}}]}\n\n'


@pytest.fixture(scope="module", autouse=True)
def catalogue() -> str:
    """Read off the loop, as a worker does when it starts."""
    return TABLE.catalogue.version


async def record(
    answer: FakeAnswer | Exception, path: str, model: str, body: bytes = b'{"model":"m"}'
) -> UsageRecord:
    made: list[UsageRecord] = []
    x = simple(FakeTransport(answer), FakeIncoming(body, path=path), upstream=model)
    x.at_end(lambda e: made.append(record_of_exchange(e, Identity("w"), PRICES)))
    with suppress(ProxyError):  # The record is what is looked at.
        await serve(x, FakeOut())
    (only,) = made
    return only


@pytest.mark.parametrize(
    ("asked", "answered", "cost"),
    [
        (b"", b"", STANDARD),
        (b"", b',"service_tier":"default"', STANDARD),
        (b"", b',"service_tier":"priority"', PRIORITY),
        (b',"service_tier":"auto"', b',"service_tier":"priority"', PRIORITY),
        (b',"service_tier":"priority"', b',"service_tier":"default"', STANDARD),
        (b',"service_tier":"priority"', b"", PRIORITY),
        (b',"service_tier":"batch"', b"", STANDARD),
        (b',"service_tier":["priority"]', b"", STANDARD),
        (b',"service_tier":"scale"', b',"service_tier":"scale"', STANDARD),
    ],
)
async def test_the_tier_that_the_answer_names_is_paid(
    asked: bytes, answered: bytes, cost: int
) -> None:
    answer = FakeAnswer([b'{"choices":[],%b%b}' % (USAGE, answered)], here=True)
    body = b'{"model":"m","messages":[]%b}' % asked
    assert (await record(answer, "/v1/chat/completions", "gpt-4o", body)).cost == cost


async def test_a_cut_stream_is_priced_in_its_tier() -> None:
    answer = FakeAnswer([CHUNK, Cut("gone")], EVENTS)
    body = b'{"model":"m","messages":[],"stream":true}'
    found = await record(answer, "/v1/chat/completions", "gpt-4o", body)
    assert found.usage is not None
    assert (found.usage_source, found.usage.output) == ("estimated", 2)
    assert found.cost == found.usage.input * 4_250 + 2 * 17_000


@pytest.mark.parametrize(
    ("model", "answer", "cost"),
    [
        ("rerank", b'{"results":[],"meta":{"billed_units":{"search_units":3}}}', 6_000_000),
        ("rerank", b'{"results":[],"usage":{"search_units":2}}', 4_000_000),
        ("paid-by-token", b'{"results":[],"meta":{"billed_units":{"search_units":3}}}', None),
        ("paid-by-token", b'{"results":[],"usage":{"total_tokens":815}}', 815 * 2_000),
    ],
)
async def test_rerank(model: str, answer: bytes, cost: int | None) -> None:
    found = await record(FakeAnswer([answer], here=True), "/v1/rerank", model)
    assert (found.usage_source, found.cost, found.unpriced) == ("upstream", cost, cost is None)


PICTURES = b'{"created":1,"data":[{"b64_json":"%b"},{"b64_json":"bb"}]%b}'
IMAGE_USAGE = (
    b',"usage":{"total_tokens":1106,"input_tokens":50,"output_tokens":1056,'
    b'"input_tokens_details":{"text_tokens":10,"image_tokens":40}}'
)
BY_TOKEN = 10 * 5_000 + 40 * 10_000 + 1056 * 40_000


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/images/variations"])
@pytest.mark.parametrize(
    ("model", "usage", "source", "cost"),
    [
        ("painter", b"", "counted", 80_000_000),
        ("painter", IMAGE_USAGE, "upstream", 80_000_000),
        ("gpt-image-1", IMAGE_USAGE, "upstream", BY_TOKEN),
        ("gpt-image-1", b"", "counted", None),
        ("dall-e-3", b"", "counted", None),
    ],
)
async def test_pictures(path: str, model: str, usage: bytes, source: str, cost: int | None) -> None:
    body = PICTURES % (b"A" * 100_000, usage)
    pieces = [body[at : at + 7001] for at in range(0, len(body), 7001)]
    found = await record(FakeAnswer(pieces, JSON), path, model)
    assert found.usage is not None
    assert (found.usage.images, found.usage_source) == (2, source)
    assert (found.cost, found.unpriced) == (cost, cost is None)


@pytest.mark.parametrize(
    ("path", "model", "answer", "cost"),
    [
        ("/v1/audio/speech", "gpt-4o-mini-tts", b"\xff\xfb\x90", None),
        ("/v1/audio/speech", "rerank", b"\xff\xfb\x90", 2_000_000),
        ("/v1/audio/transcriptions", "whisper-1", b"Hello there.", None),
        ("/v1/audio/translations", "whisper-1", b'{"text":"Hello"}', None),
        ("/v1/audio/translations", "whisper-1",
         b'{"text":"Hello","usage":{"type":"duration","seconds":90}}', 9_000_000),
        ("/v1/audio/transcriptions", "gpt-4o-transcribe",
         b'{"text":"Hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":'
         b'{"text_tokens":4,"audio_tokens":10},"output_tokens":45,"total_tokens":59}}',
         4 * 2_500 + 10 * 6_000 + 45 * 10_000),
        ("/v1/images/generations", "gpt-image-1", b'{"data":[]}', None),
    ],
)  # fmt: skip
async def test_sound_without_a_length_is_unpriced_and_never_nothing(
    path: str, model: str, answer: bytes, cost: int | None
) -> None:
    found = await record(FakeAnswer([answer], here=True), path, model)
    assert (found.outcome, found.cost, found.unpriced) == ("completed", cost, cost is None)


async def test_a_vendor_that_took_a_recording_and_never_answered_is_unpriced() -> None:
    found = await record(
        TimedOut("slow", phase="first_token"), "/v1/audio/transcriptions", "gpt-4o-transcribe"
    )
    assert (found.outcome, found.cost, found.unpriced) == ("failed", None, True)
