"""What a request costs to read: what OpenAI's API said of the same requests, and shapes."""

from typing import Any

import pytest

from proxy.usage.tokens.encodings import Encodings, encoding_name
from proxy.usage.tokens.inputs import input_tally
from proxy.usage.tokens.tally import Uncountable

JARGON = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate "
        "jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities "
        "for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client "
        "deliverable.",
    },
]
WEATHER = [
    {
        "role": "system",
        "content": "You are a helpful assistant that can answer to questions about the weather.",
    },
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
FUNCTION = {
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {
                "type": "string",
                "description": "The city and state, e.g. San Francisco, CA",
            },
            "unit": {
                "type": "string",
                "description": "The unit of temperature to return",
                "enum": ["celsius", "fahrenheit"],
            },
        },
        "required": ["location"],
    },
}
TOOLS = [{"type": "function", "function": FUNCTION}]
HELLO = [{"role": "user", "content": "hello world"}]  # 3 + 1 + 2, and 3.


def counted(
    encodings: Encodings, fields: dict[str, Any], operation: str = "chat", model: str = "gpt-4o"
) -> int:
    return input_tally(operation, fields, model, 1_000_000).total(
        encodings.get(encoding_name(model))
    )


# As `usage.prompt_tokens` said (OpenAI's cookbook, "How to count tokens with tiktoken").
@pytest.mark.parametrize(
    ("fields", "model", "tokens"),
    [
        ({"messages": JARGON}, "gpt-4-0613", 129),
        ({"messages": JARGON}, "gpt-3.5-turbo", 129),
        ({"messages": JARGON}, "gpt-4o", 124),
        ({"messages": WEATHER, "tools": TOOLS}, "gpt-4", 105),
        ({"messages": WEATHER, "tools": TOOLS}, "gpt-4o-mini", 101),
        ({"messages": WEATHER, "functions": [FUNCTION]}, "gpt-4o", 101),
    ],
)
def test_chat_is_what_the_api_counted(
    encodings: Encodings, fields: dict[str, Any], model: str, tokens: int
) -> None:
    assert counted(encodings, fields, model=model) == tokens


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("hello world", 2),
        ([{"type": "text", "text": "hello world"}], 2),
        ([{"type": "text", "text": "hello world"}, {"type": "text", "text": "hello world"}], 4),
        ([{"type": "image_url", "image_url": {"url": "https://host/a.png", "detail": "low"}}], 85),
        ([{"type": "image_url", "image_url": {"url": "https://host/a.png"}}], 765),
        ([{"type": "input_image", "image_url": "https://host/a.png", "detail": "high"}], 765),
        ([{"type": "refusal", "refusal": "hello world"}], 2),
        (["hello world"], 2),
        ([None, 3, {"type": 4}, {}], 0),
        ({"text": "hello"}, 0),
        (None, 0),
    ],
)
def test_contents(encodings: Encodings, content: Any, tokens: int) -> None:
    assert counted(encodings, {"messages": [{"role": "user", "content": content}]}) == 7 + tokens


def test_calls_of_an_earlier_turn_count(encodings: Encodings) -> None:
    function = {"name": "hello world", "arguments": "hello world"}
    call = {"id": "call_1", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert counted(encodings, {"messages": [message]}) == 7 + 4


def test_parameters_in_parameters_count(encodings: Encodings) -> None:
    def tool(parameters: Any) -> dict[str, Any]:
        return {"messages": [], "tools": [{"function": {"name": "f", "parameters": parameters}}]}

    flat = {"properties": {"a": {"type": "object"}}}
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    listed = {"properties": {"a": {"type": "array", "items": inner}}}
    base = counted(encodings, tool(flat))
    assert counted(encodings, tool({"properties": {"a": inner}})) > base
    assert counted(encodings, tool(listed)) > base
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(60):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(Uncountable):
        counted(encodings, tool(deep))


def test_a_schema_for_the_answer_counts(encodings: Encodings) -> None:
    form = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    bare = counted(encodings, {"messages": HELLO})
    assert bare == 9
    assert counted(encodings, {"messages": HELLO, "response_format": form}) == bare + 5


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"input": "hello world"}, 9),
        ({"input": HELLO}, 9),
        ({"input": [{**HELLO[0], "type": "message"}]}, 9),
        ({"input": HELLO, "instructions": "hello world"}, 15),
        ({"input": [{"type": "function_call", "name": "hello", "arguments": "hello"}]}, 8),
        ({"input": [{"type": "function_call_output", "output": "hello world"}]}, 8),
        ({"input": HELLO, "text": {"format": {"type": "json_schema", "schema": {}}}}, 10),
        ({}, 3),
    ],
)
def test_responses(encodings: Encodings, fields: dict[str, Any], tokens: int) -> None:
    assert counted(encodings, fields, "responses") == tokens


def test_tools_of_responses_are_those_of_chat(encodings: Encodings) -> None:
    chat = counted(encodings, {"messages": WEATHER, "tools": TOOLS})
    flat = {"type": "function", **FUNCTION}
    assert counted(encodings, {"input": WEATHER, "tools": [flat]}, "responses") == chat


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("responses", {"input": "a", "previous_response_id": "resp_1"}),
        ("responses", {"input": "a", "conversation": "conv_1"}),
        ("responses", {"prompt": {"id": "pmpt_1"}}),
        ("responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_file"}]}]}),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "file"}]}]}),
        ("chat", {"messages": [{"role": "user", "content": "a" * 1_000_001}]}),
    ],
)
def test_what_only_the_vendor_knows_is_not_counted(operation: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Uncountable):
        input_tally(operation, fields, "gpt-4o", 1_000_000)


@pytest.mark.parametrize("operation", ["embeddings", "completions"])
@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ("hello world", 2),
        (["hello world", "hello"], 3),
        ([15339, 1917, 0], 3),
        ([[15339, 1917], [0]], 3),
        ([], 0),
        (None, 0),
    ],
)
def test_texts_and_tokens(encodings: Encodings, operation: str, given: Any, tokens: int) -> None:
    name = "input" if operation == "embeddings" else "prompt"
    model = "text-embedding-3-small"
    assert counted(encodings, {name: given}, operation, model) == tokens


@pytest.mark.parametrize("fields", [{"messages": "x"}, {"messages": [1, None]}, {"tools": {}}, {}])
def test_nonsense_counts_nothing(encodings: Encodings, fields: dict[str, Any]) -> None:
    assert counted(encodings, fields) == 3


def test_speech_is_counted_apart() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "A" * 64_000, "format": "pcm16"}}
    tally = input_tally("chat", {"messages": [{"role": "user", "content": [part]}]}, "m", 1000)
    assert tally.audio == 10  # One second.
