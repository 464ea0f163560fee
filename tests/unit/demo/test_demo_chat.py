"""Chat completions and completions of the demo vendor, judged by the official SDK."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel

from proxy.base import jsonio
from proxy.demo import tokens
from proxy.demo.tokens import count

Ask = Callable[..., tuple[int, Any]]

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello there, my friend"}]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
            "required": ["city", "unit"],
        },
    },
}


def test_answers_are_openais_types_strictly(ask: Ask) -> None:
    _, whole = ask("chat/completions", model="demo-1", messages=HELLO, n=2)
    ChatCompletion.model_validate_json(jsonio.dumps(whole), strict=True)
    _, chunks = ask("chat/completions", model="demo-1", messages=HELLO, stream=True, n=2)
    for chunk in chunks:
        ChatCompletionChunk.model_validate_json(jsonio.dumps(chunk), strict=True)


def test_same_question_same_bytes_other_question_other_words(ask: Ask) -> None:
    one = ask("chat/completions", model="demo-1", messages=HELLO)
    assert one == ask("chat/completions", model="demo-1", messages=HELLO)
    other = ask("chat/completions", model="demo-1", messages=[{"role": "user", "content": "Bye"}])
    assert one[1]["id"] != other[1]["id"]
    assert "demo vendor" in one[1]["choices"][0]["message"]["content"]
    assert "Hello there, my friend" in one[1]["choices"][0]["message"]["content"]


async def test_stream_and_whole_say_the_same_and_cost_the_same(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="demo-1", messages=HELLO, n=2)
    async with client.chat.completions.stream(
        model="demo-1", messages=HELLO, n=2, stream_options={"include_usage": True}
    ) as stream:
        streamed = await stream.get_final_completion()
    said = [choice.message.content for choice in whole.choices]
    assert said == [choice.message.content for choice in streamed.choices]
    assert said[0] != said[1]
    assert whole.usage is not None
    assert whole.usage == streamed.usage
    assert whole.usage.completion_tokens == sum(count(text or "") for text in said)
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens


def test_usage_chunk_is_last_and_only_when_asked(ask: Ask) -> None:
    fields: dict[str, Any] = {"model": "m", "messages": HELLO, "stream": True}
    _, asked = ask("chat/completions", **fields, stream_options={"include_usage": True})
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["total_tokens"] > 0
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in asked[:-1])
    for options in ({}, {"stream_options": {"include_usage": False}}):
        _, chunks = ask("chat/completions", **fields, **options)
        assert all("usage" not in chunk for chunk in chunks)


@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("chat/completions", "max_tokens"),
        ("chat/completions", "max_completion_tokens"),
        ("completions", "max_tokens"),
    ],
)
def test_limit_ends_with_length(ask: Ask, field: str, limit: int, path: str) -> None:
    _, whole = ask(path, model="m", messages=HELLO, prompt="Hello", **{field: limit})
    assert whole["choices"][0]["finish_reason"] == "length"
    assert whole["usage"]["completion_tokens"] == limit
    _, roomy = ask(path, model="m", messages=HELLO, prompt="Hello", **{field: 1000})
    assert roomy["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("stop", [" vendor", [" never said", " vendor"], ["o v", " vendor"]])
def test_stop_sequences_end_the_text(ask: Ask, stop: Any) -> None:
    _, plain = ask("chat/completions", model="m", messages=HELLO)
    _, whole = ask("chat/completions", model="m", messages=HELLO, stop=stop)
    text = whole["choices"][0]["message"]["content"]
    assert plain["choices"][0]["message"]["content"].startswith(text)
    assert text.endswith("dem" if "o v" in stop else "demo")
    assert whole["choices"][0]["finish_reason"] == "stop"


def test_the_users_last_words_are_echoed_not_the_last_words(ask: Ask) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "Prefilled words"}]
    _, whole = ask("chat/completions", model="m", messages=messages)
    text = whole["choices"][0]["message"]["content"]
    assert "Hello there, my friend" in text
    assert "Prefilled" not in text


def test_content_parts_are_read_and_media_cost(ask: Ask) -> None:
    text = {"type": "text", "text": "a red fox"}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    costs = []
    for parts in ([text], [text, image]):
        messages = [{"role": "user", "content": parts}]
        _, whole = ask("chat/completions", model="m", messages=messages)
        assert "a red fox" in whole["choices"][0]["message"]["content"]
        costs.append(whole["usage"]["prompt_tokens"])
    assert costs[1] - costs[0] == tokens.PER_MEDIUM


@pytest.mark.parametrize(
    ("choice", "calls"),
    [
        (None, True),
        ("auto", True),
        ("none", False),
        ("required", True),
        ({"type": "function", "function": {"name": "get_weather"}}, True),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "get_weather"}}],
                },
            },
            True,
        ),
    ],
)
async def test_tool_calls_fit_whole_and_streamed(
    client: AsyncOpenAI, choice: Any, calls: bool
) -> None:
    more: dict[str, Any] = {} if choice is None else {"tool_choice": choice}
    whole = await client.chat.completions.create(
        model="m", messages=HELLO, extra_body={"tools": [WEATHER], **more}
    )
    async with client.chat.completions.stream(
        model="m", messages=HELLO, extra_body={"tools": [WEATHER], **more}
    ) as stream:
        streamed = await stream.get_final_completion()
    for answer in (whole, streamed):
        one = answer.choices[0]
        assert one.finish_reason == ("tool_calls" if calls else "stop")
        assert bool(one.message.content) != calls
        if calls:
            assert one.message.tool_calls is not None
            call = one.message.tool_calls[0]
            assert call.type == "function" and call.id.startswith("call_0_")
            assert call.function.name == "get_weather"
            assert jsonio.loads(call.function.arguments) == {"city": "demo city", "unit": "c"}


def test_a_tools_answer_is_answered_in_words(ask: Ask) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "sunny, 21 degrees"},
    ]
    _, whole = ask("chat/completions", model="m", messages=messages, tools=[WEATHER])
    assert "sunny, 21 degrees" in whole["choices"][0]["message"]["content"]
    _, forced = ask(
        "chat/completions", model="m", messages=messages, tools=[WEATHER], tool_choice="required"
    )
    assert forced["choices"][0]["message"]["tool_calls"]


def test_calls_of_several_choices_have_their_own_ids(ask: Ask) -> None:
    _, whole = ask("chat/completions", model="m", messages=HELLO, tools=[WEATHER], n=3)
    ids = {choice["message"]["tool_calls"][0]["id"] for choice in whole["choices"]}
    assert len(ids) == 3


class Step(BaseModel):
    note: str
    done: bool


class Plan(BaseModel):
    title: str
    steps: list[Step]
    cost: float | None


async def test_structured_output_is_parsed_by_the_sdk(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.parse(model="m", messages=HELLO, response_format=Plan)
    plan = answer.choices[0].message.parsed
    assert plan is not None
    assert plan.steps


def test_json_object(ask: Ask) -> None:
    form = {"type": "json_object"}
    _, whole = ask("chat/completions", model="m", messages=HELLO, response_format=form)
    assert isinstance(jsonio.loads(whole["choices"][0]["message"]["content"]), dict)


def _schema_of(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        ({"messages": HELLO, "model": 1}, "model"),
        ({"messages": HELLO, "model": None}, "model"),
        ({"messages": HELLO, "n": 0}, "n"),
        ({"messages": HELLO, "n": 129}, "n"),
        ({"messages": HELLO, "n": True}, "n"),
        ({"messages": HELLO, "max_tokens": "1"}, "max_tokens"),
        ({"messages": HELLO, "stream": "yes"}, "stream"),
        ({"messages": HELLO, "stop": 1}, "stop"),
        ({"messages": HELLO, "stop": [1]}, "stop"),
        ({"messages": HELLO, "stop": ["a"] * 5}, "stop"),
        ({"messages": HELLO, "stream_options": {"include_usage": True}}, "stream_options"),
        ({"messages": HELLO, "tools": [{"type": "function"}]}, "tools[0].function"),
        ({"messages": HELLO, "tool_choice": "required"}, "tool_choice"),
        ({"messages": HELLO, "tools": [WEATHER], "tool_choice": "maybe"}, "tool_choice"),
        (
            {
                "messages": HELLO,
                "tools": [WEATHER],
                "tool_choice": {"type": "function", "function": {"name": "other"}},
            },
            "tool_choice",
        ),
        ({"messages": HELLO, "response_format": {"type": "xml"}}, "response_format.type"),
        (
            {"messages": HELLO, "response_format": {"type": "json_schema"}},
            "response_format.json_schema",
        ),
        (
            {"messages": HELLO, "response_format": _schema_of({"$ref": "#"})},
            "response_format.json_schema.schema",
        ),
    ],
)
async def test_bad_fields_are_refused_by_name(
    client: AsyncOpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.post("/chat/completions", body={"model": "m"} | fields, cast_to=object)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


def test_unknown_fields_are_ignored(ask: Ask) -> None:
    status, _ = ask("chat/completions", model="m", messages=HELLO, sparkle={"a": [1]})
    assert status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_completions(client: AsyncOpenAI, stream: bool) -> None:
    prompts = ["one", "two"]
    if not stream:
        whole = await client.completions.create(model="m", prompt=prompts, n=2, echo=True)
        assert [c.index for c in whole.choices] == [0, 1, 2, 3]
        assert [c.text[:3] for c in whole.choices] == ["one", "one", "two", "two"]
        assert whole.usage is not None and whole.usage.prompt_tokens == 2
        return
    chunks = await client.completions.create(
        model="m", prompt=[1, 2, 3], stream=True, stream_options={"include_usage": True}
    )
    seen = [chunk async for chunk in chunks]
    assert seen[-1].usage is not None and seen[-1].usage.prompt_tokens == 3
    assert [c.choices[0].finish_reason for c in seen[:-1]][-1] == "stop"
    assert "1 2 3" in "".join(c.choices[0].text for c in seen[:-1])
