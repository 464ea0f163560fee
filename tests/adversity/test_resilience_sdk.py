"""Failures of a first vendor as OpenAI's own SDK sees them, its retries switched off."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.adversity.resilience_failures import FAILURES
from tests.adversity.resilience_run import TEXT, configured, two_vendors
from tests.fakes.vendor import Vendor
from tests.integration.gateway import gateway
from tests.integration.purse import KEY

NOTHING: Mapping[str, Any] = {}
ABLE = {"capabilities": ["chat", "prefill"]}


@asynccontextmanager
async def sdk(
    folder: Path, failure: str, model: Mapping[str, Any] = NOTHING, *, alone: bool = False
) -> AsyncIterator[tuple[AsyncOpenAI, Vendor]]:
    """The SDK before a vendor that fails like this; what is yielded beside it is the other."""
    async with two_vendors() as (one, two):
        one.always(FAILURES[failure].reply)
        configuration = configured(one.url, None if alone else two.url, folder, model, ABLE)
        async with (
            gateway(configuration) as proxy,
            AsyncOpenAI(base_url=proxy.url, api_key=KEY, max_retries=0) as client,
        ):
            yield client, two


async def said(client: AsyncOpenAI) -> tuple[str, str | None]:
    """The text of a chat, and the model that it names."""
    answer = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}]
    )
    return answer.choices[0].message.content or "", answer.model


async def streamed(client: AsyncOpenAI) -> tuple[str, str, str | None]:
    """The text, the last model and the last reason to finish that a stream names. Fails like the
    stream."""
    text, model, finish = "", "", None
    stream = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    async for chunk in stream:
        model = chunk.model or model
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, model, finish


@pytest.mark.parametrize(
    "failure", ["500", "429", "reset inside the head", "silence", "JSON cut at two thirds"]
)
async def test_a_plain_answer_comes_from_the_other(tmp_path: Path, failure: str) -> None:
    async with sdk(tmp_path, failure) as (client, other):
        assert await said(client) == (TEXT, "second")
        assert other.calls == 1


@pytest.mark.parametrize(
    "failure", ["first token after 30 s", "a role, and no word", "an error event first"]
)
async def test_a_stream_without_a_word_comes_from_the_other(tmp_path: Path, failure: str) -> None:
    async with sdk(tmp_path, failure) as (client, _):
        assert await streamed(client) == (TEXT, "second", "stop")


@pytest.mark.parametrize("way", ["restart", "prefill"])
@pytest.mark.parametrize(
    "failure",
    ["a stream cut at two thirds", "a stall in mid-stream", "an error event in mid-stream"],
)
async def test_a_stream_that_is_carried_on_is_one_answer(
    tmp_path: Path, failure: str, way: str
) -> None:
    async with sdk(tmp_path, failure, {"rescue": [way]}) as (client, _):
        assert await streamed(client) == (TEXT, "second", "stop")


@pytest.mark.parametrize(
    "failure",
    ["a stream cut at two thirds", "a stall in mid-stream", "an error event in mid-stream"],
)
async def test_a_stream_that_is_not_raises(tmp_path: Path, failure: str) -> None:
    async with sdk(tmp_path, failure, alone=True) as (client, _):
        with pytest.raises(openai.APIError):
            await streamed(client)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("silence", openai.InternalServerError),
        ("404", openai.NotFoundError),
    ],
)
async def test_alone_the_sdk_s_own_error_is_raised(
    tmp_path: Path, failure: str, kind: type[openai.APIStatusError]
) -> None:
    async with sdk(tmp_path, failure, alone=True) as (client, _):
        with pytest.raises(kind) as caught:
            await said(client)
        assert caught.value.status_code == FAILURES[failure].told[0]
