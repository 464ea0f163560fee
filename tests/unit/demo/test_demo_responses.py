"""Responses of the demo vendor: the order of events, and the official SDK reading them."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from proxy.base import jsonio

Ask = Callable[..., tuple[int, Any]]

FIND: dict[str, Any] = {
    "type": "function",
    "name": "find",
    "parameters": {
        "type": "object",
        "properties": {"depth": {"type": "integer", "minimum": 3}},
        "required": ["depth"],
    },
}


@pytest.mark.parametrize("more", [{}, {"tools": [FIND]}, {"max_output_tokens": 3}])
def test_events_and_answers_are_openais_types(ask: Ask, more: dict[str, Any]) -> None:
    events: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    _, whole = ask("responses", model="m", input="Hi", **more)
    Response.model_validate_json(jsonio.dumps(whole), strict=True)
    _, told = ask("responses", model="m", input="Hi", stream=True, **more)
    for event in told:
        events.validate_json(jsonio.dumps(event), strict=True)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    last = told[-1]["response"]
    for name in ("status", "incomplete_details"):
        assert last[name] == whole[name]
    assert last["usage"] == whole["usage"]
    assert whole["usage"]["total_tokens"] == (
        whole["usage"]["input_tokens"] + whole["usage"]["output_tokens"]
    )


def _kinds(told: list[dict[str, Any]]) -> list[str]:
    """The types of events in order, repeated deltas once."""
    kinds = [event["type"].removeprefix("response.") for event in told]
    return [kind for place, kind in enumerate(kinds) if kinds[place - 1] != kind or not place]


def test_order_of_events(ask: Ask) -> None:
    _, text = ask("responses", model="m", input="Hi", stream=True)
    assert _kinds(text) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    _, call = ask("responses", model="m", input="Hi", stream=True, tools=[FIND])
    assert _kinds(call)[2:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    _, cut = ask("responses", model="m", input="Hi", stream=True, max_output_tokens=1)
    assert _kinds(cut)[-1] == "incomplete"


async def test_sdk_reads_stream_and_whole_alike(client: AsyncOpenAI) -> None:
    whole = await client.responses.create(model="m", input="A red fox")
    async with client.responses.stream(model="m", input="A red fox") as stream:
        streamed = await stream.get_final_response()
    assert "A red fox" in whole.output_text
    assert whole.output_text == streamed.output_text
    assert whole.status == "completed"


async def test_calls_and_their_results(client: AsyncOpenAI) -> None:
    call = await client.responses.create(model="m", input="Hi", extra_body={"tools": [FIND]})
    item = call.output[0]
    assert item.type == "function_call"
    assert jsonio.loads(item.arguments) == {"depth": 3}
    given: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        item.model_dump(),
        {"type": "function_call_output", "call_id": item.call_id, "output": "found a fox"},
    ]
    answer = await client.responses.create(model="m", input=given, extra_body={"tools": [FIND]})
    assert "found a fox" in answer.output_text
    named = await client.responses.create(
        model="m",
        input=given,
        extra_body={"tools": [FIND], "tool_choice": {"type": "function", "name": "find"}},
    )
    assert named.output[0].type == "function_call"


class Point(BaseModel):
    x: int
    label: str


async def test_structured_output(client: AsyncOpenAI) -> None:
    answer = await client.responses.parse(model="m", input="Hi", text_format=Point)
    assert isinstance(answer.output_parsed, Point)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": 1}, "input"),
        ({"input": [1]}, "input[0]"),
        ({"input": "a", "text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"input": "a", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "a", "tools": [{"type": "function"}]}, "tools[0].name"),
    ],
)
async def test_bad_fields(client: AsyncOpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.post("/responses", body={"model": "m"} | fields, cast_to=object)
    assert caught.value.param == param
