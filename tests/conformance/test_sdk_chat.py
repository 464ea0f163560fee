"""Chat, completions and responses through the gateway: the SDK reads what the vendor said."""

from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from proxy.base import jsonio
from tests.conformance.judge import Judge, arrived
from tests.fakes import openai_wire as wire
from tests.fakes.vendor import Vendor
from tests.integration.gateway import ALL, RENAMED, Gateway

HELLO: Any = [{"role": "user", "content": "Hello \u20ac \U0001f600"}]
TEXT = "".join(wire.WORDS)
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]


async def test_chat_text_is_equal(judge: Judge, vendor: Vendor) -> None:
    answer = await judge.ask(
        lambda c: c.chat.completions.create(model="gpt-4o-mini", messages=HELLO, n=2)
    )
    assert [choice.message.content for choice in answer.choices] == [TEXT, TEXT]
    assert answer.usage.total_tokens == 29
    assert [arrived(request) for request in vendor.requests] == judge.sent


async def test_a_renamed_model_is_all_that_changes(judge: Judge, vendor: Vendor) -> None:
    answer = await judge.ask(lambda c: c.chat.completions.create(model="renamed", messages=HELLO))
    assert answer.choices[0].message.content == TEXT
    wanted = judge.sent[0].body.replace(b'"renamed"', b'"%b"' % RENAMED.encode())
    assert vendor.requests[0].body == wanted


@pytest.mark.parametrize("operation", ["chat", "completions"])
@pytest.mark.parametrize("asked", [True, False, None])
async def test_a_stream_has_usage_only_when_asked(
    judge: Judge, vendor: Vendor, operation: str, asked: bool | None
) -> None:
    more: dict[str, Any] = {"stream": True, "model": "gpt-4o-mini"}
    if asked is not None:
        more["stream_options"] = {"include_usage": asked}
    if operation == "chat":
        parts = await judge.all(lambda c: c.chat.completions.create(messages=HELLO, **more))
        text = "".join(p.choices[0].delta.content or "" for p in parts if p.choices)
    else:
        parts = await judge.all(lambda c: c.completions.create(prompt="Hi", **more))
        text = "".join(p.choices[0].text for p in parts if p.choices)
    assert text == TEXT
    usages = [part.usage for part in parts if part.usage is not None]
    assert len(usages) == (1 if asked else 0)
    assert all(part.choices for part in parts) is not bool(asked)
    # Upstream it is always asked for: accounting needs it.
    assert vendor.requests[0].json()["stream_options"]["include_usage"] is True


async def test_several_streamed_choices_stay_apart(judge: Judge) -> None:
    parts = await judge.all(
        lambda c: c.chat.completions.create(model="gpt-4o-mini", messages=HELLO, n=3, stream=True)
    )
    texts = ["", "", ""]
    for part in parts:
        for choice in part.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [TEXT] * 3


async def test_tool_calls(judge: Judge, vendor: Vendor) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
    }
    body = jsonio.loads(wire.chat_body())
    body["choices"][0] |= {"finish_reason": "tool_calls"}
    body["choices"][0]["message"] |= {"content": None, "tool_calls": [call]}
    vendor.say(body=jsonio.dumps(body))
    answer = await judge.ask(
        lambda c: c.chat.completions.create(model="gpt-4o-mini", messages=HELLO, tools=TOOLS)
    )
    (made,) = answer.choices[0].message.tool_calls
    assert (made.id, made.function.arguments) == ("call_1", '{"city":"Paris"}')
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_streamed_tool_calls(judge: Judge, vendor: Vendor) -> None:
    vendor.say(headers=wire.EVENT_STREAM, chunks=wire.tool_call_events(usage=True))
    parts = await judge.all(
        lambda c: c.chat.completions.create(
            model="gpt-4o-mini", messages=HELLO, tools=TOOLS, stream=True
        )
    )
    calls = [call for p in parts for call in p.choices[0].delta.tool_calls or ()]
    assert calls[0].function.name == "get_weather"
    assert "".join(call.function.arguments for call in calls) == '{"city":"Paris"}'
    assert parts[-1].choices[0].finish_reason == "tool_calls"


class City(BaseModel):
    """What a structured answer is read into."""

    name: str
    people: int


async def test_a_parsed_answer(judge: Judge, vendor: Vendor) -> None:
    vendor.say(body=wire.chat_body('{"name":"Paris","people":2100000}'))
    answer = await judge.ask(
        lambda c: c.chat.completions.parse(
            model="gpt-4o-mini", messages=HELLO, response_format=City
        )
    )
    assert answer.choices[0].message.parsed == City(name="Paris", people=2_100_000)
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_a_parsed_stream(proxy: Gateway, vendor: Vendor) -> None:
    words = ('{"name":', '"Paris",', '"people":7}')
    vendor.say(headers=wire.EVENT_STREAM, chunks=wire.chat_events(*words, usage=True))
    async with (
        AsyncOpenAI(base_url=proxy.url, api_key=ALL) as client,
        client.chat.completions.stream(
            model="gpt-4o-mini", messages=HELLO, response_format=City
        ) as stream,
    ):
        final = await stream.get_final_completion()
    assert final.choices[0].message.parsed == City(name="Paris", people=7)


async def test_completions(judge: Judge, vendor: Vendor) -> None:
    answer = await judge.ask(lambda c: c.completions.create(model="gpt-4o-mini", prompt="Say"))
    assert answer.choices[0].text == "This is a test."
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_responses(judge: Judge, vendor: Vendor) -> None:
    answer = await judge.ask(lambda c: c.responses.create(model="gpt-4o-mini", input="Hi"))
    assert answer.output_text == TEXT
    assert answer.usage.total_tokens == 46
    assert arrived(vendor.requests[0]) == judge.sent[0]


async def test_a_stream_of_a_response(judge: Judge, vendor: Vendor) -> None:
    events = await judge.all(
        lambda c: c.responses.create(model="gpt-4o-mini", input="Hi", stream=True)
    )
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == TEXT
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == TEXT
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert arrived(vendor.requests[0]) == judge.sent[0]  # Its usage needs no asking.


async def test_a_parsed_response(judge: Judge, vendor: Vendor) -> None:
    final = wire.response_final('{"name":"Paris","people":3}', wire.MODEL)
    vendor.say(body=jsonio.dumps(final))
    answer = await judge.ask(
        lambda c: c.responses.parse(model="gpt-4o-mini", input="Hi", text_format=City)
    )
    assert answer.output_parsed == City(name="Paris", people=3)


async def test_a_failed_response_ends_its_stream_as_the_vendor_said(
    judge: Judge, vendor: Vendor
) -> None:
    failed = wire.response_final("", wire.MODEL) | {
        "status": "failed",
        "error": {"code": "server_error", "message": "no luck"},
    }
    events = [
        *wire.response_events()[:3],
        wire.event(
            {"type": "response.failed", "sequence_number": 3, "response": failed},
            "response.failed",
        ),
    ]
    vendor.say(headers=wire.EVENT_STREAM, chunks=events)
    seen = await judge.all(
        lambda c: c.responses.create(model="gpt-4o-mini", input="Hi", stream=True)
    )
    assert seen[-1].type == "response.failed"
    assert seen[-1].response.error.message == "no luck"


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
async def test_a_stream_is_the_same_however_it_is_cut_into_packets(
    judge: Judge, vendor: Vendor, size: int
) -> None:
    whole = b"".join(wire.chat_events("caf\u00e9 ", "\U0001f600", usage=True))
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    vendor.say(headers=wire.EVENT_STREAM, chunks=pieces)
    parts = await judge.all(
        lambda c: c.chat.completions.create(model="renamed", messages=HELLO, stream=True)
    )
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == "caf\u00e9 \U0001f600"
