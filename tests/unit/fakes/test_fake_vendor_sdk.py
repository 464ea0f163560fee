"""The official SDK, pointed straight at the fake vendor, finds nothing wrong with it."""

import asyncio

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.fakes import openai_wire as wire
from tests.fakes.vendor import Vendor

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
TEXT = "".join(wire.WORDS)


async def test_chat() -> None:
    async with Vendor() as vendor, AsyncOpenAI(base_url=vendor.url, api_key="sk-1") as client:
        answer = await client.chat.completions.create(model="m", messages=HELLO, n=2)
        assert [choice.message.content for choice in answer.choices] == [TEXT, TEXT]
        assert answer.usage is not None and answer.usage.total_tokens == 29
        request = vendor.requests[0]
        assert (request.method, request.target) == ("POST", "/v1/chat/completions")
        assert request.header("authorization") == "Bearer sk-1"
        assert request.json()["messages"] == HELLO


async def test_chat_stream_has_usage_only_when_asked() -> None:
    async with Vendor() as vendor, AsyncOpenAI(base_url=vendor.url, api_key="k") as client:
        for options in ({"include_usage": True}, {"include_usage": False}):
            stream = await client.chat.completions.create(
                model="m", messages=HELLO, stream=True, extra_body={"stream_options": options}
            )
            chunks = [chunk async for chunk in stream]
            said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
            assert said == TEXT
            usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
            assert len(usages) == options["include_usage"]
        assert vendor.calls == 2
        assert vendor.connections == 1


async def test_tool_calls_of_several_choices() -> None:
    async with Vendor() as vendor, AsyncOpenAI(base_url=vendor.url, api_key="k") as client:
        vendor.say(
            headers=wire.EVENT_STREAM, chunks=wire.tool_call_events("find", '{"a"', ":1}", n=2)
        )
        arguments = {0: "", 1: ""}
        stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        async for chunk in stream:
            for call in chunk.choices[0].delta.tool_calls or ():
                assert call.function is not None
                arguments[chunk.choices[0].index] += call.function.arguments or ""
        assert arguments == {0: '{"a":1}', 1: '{"a":1}'}


async def test_other_operations() -> None:
    async with Vendor() as vendor, AsyncOpenAI(base_url=vendor.url, api_key="k") as client:
        found = await client.embeddings.create(model="m", input=["a", "b"])
        assert [item.embedding for item in found.data] == [[1.0, -0.5]] * 2
        plain = await client.embeddings.create(model="m", input="a", encoding_format="float")
        assert [item.embedding for item in plain.data] == [[1.0, -0.5]]
        assert [model.id async for model in client.models.list()] == [
            "gpt-4o-mini",
            "text-embedding-3-small",
        ]
        whole = await client.completions.create(model="m", prompt="Say")
        assert whole.choices[0].text == "This is a test."
        parts = await client.completions.create(model="m", prompt="Say", stream=True)
        assert "".join([part.choices[0].text async for part in parts]) == TEXT
        assert (await client.responses.create(model="m", input="Hi")).output_text == TEXT
        async with client.responses.stream(model="m", input="Hi") as events:
            final = await events.get_final_response()
        assert final.output_text == TEXT


async def test_what_it_does_not_know_is_a_404() -> None:
    async with Vendor() as vendor, AsyncOpenAI(base_url=vendor.url, api_key="k") as client:
        with pytest.raises(openai.NotFoundError, match="Invalid URL"):
            await client.batches.list()


async def test_sync_client_in_a_thread_retries_after_429() -> None:
    def ask(url: str) -> str | None:
        with OpenAI(base_url=url, api_key="k") as client:
            return (
                client.chat.completions.create(model="m", messages=HELLO).choices[0].message.content
            )

    async with Vendor() as vendor:
        body = wire.error_body("Slow down", "requests", "rate_limit_exceeded")
        vendor.say(429, [("retry-after", "0.01"), ("content-type", "application/json")], body)
        assert await asyncio.to_thread(ask, vendor.url) == TEXT
        assert [request.header("x-stainless-retry-count") for request in vendor.requests] == [
            "0",
            "1",
        ]


async def test_error_shows_its_parts() -> None:
    async with Vendor() as vendor:
        client = AsyncOpenAI(base_url=vendor.url, api_key="k", max_retries=0)
        body = wire.error_body("Slow down", "requests", "rate_limit_exceeded")
        vendor.say(429, [("retry-after", "7"), ("content-type", "application/json")], body)
        async with client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(model="m", messages=HELLO)
        assert caught.value.code == "rate_limit_exceeded"
        assert caught.value.response.headers["retry-after"] == "7"
        assert vendor.calls == 1
