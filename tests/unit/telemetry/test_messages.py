"""What was said, told by role and part; whatever it looks like, none of it is lost or fatal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base import jsonio
from proxy.telemetry.messages import input_messages, output_messages, system_instructions


def text(role: str, *said: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": each} for each in said]}


@pytest.mark.parametrize(
    ("given_text", "messages"),
    [
        ("hello", [text("user", "hello")]),
        ('{"messages":[{"role":"system","content":"a"}]}', [text("system", "a")]),
        ('[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]',
         [text("user", "a"), text("assistant", "b")]),
        ('{"input":"a"}', [text("user", "a")]),
        ('{"prompt":["a","b"]}', [text("user", "a"), text("user", "b")]),
        ('{"messages":[{"role":"user","content":[{"type":"text","text":"a"},'
         '{"type":"image_url","image_url":{"url":"u"}}]}]}',
         [{"role": "user", "parts": [
             {"type": "text", "content": "a"},
             {"type": "image_url",
              "content": '{"type":"image_url","image_url":{"url":"u"}}'}]}]),
        ('{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c",'
         '"function":{"name":"f","arguments":"{}"}}]}]}',
         [{"role": "assistant", "parts": [
             {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}"}]}]),
        ('{"messages":[{"role":"tool","tool_call_id":"c","content":"4"}]}',
         [{"role": "tool", "parts": [
             {"type": "tool_call_response", "id": "c", "response": "4"}]}]),
        ('{"input":[{"type":"function_call_output","call_id":"c","output":"4"}]}',
         [{"role": "tool", "parts": [
             {"type": "tool_call_response", "id": "c", "response": "4"}]}]),
        ('{"messages":[{"role":"user","content":"cut sho', None),
        ('{"something":"else"}', None),
        ("[[[", None),
    ],
)  # fmt: skip
def test_prompts(given_text: str, messages: list[dict[str, Any]] | None) -> None:
    expected = [text("user", given_text)] if messages is None else messages
    assert jsonio.loads(input_messages(given_text)) == expected


@pytest.mark.parametrize(
    ("given_text", "messages"),
    [
        ("Rain.", [{**text("assistant", "Rain."), "finish_reason": ""}]),
        ('{"choices":[{"message":{"role":"assistant","content":"a"},"finish_reason":"length"}]}',
         [{**text("assistant", "a"), "finish_reason": "length"}]),
        ('{"choices":[{"text":"a"}]}', [{**text("assistant", "a"), "finish_reason": ""}]),
        ('{"output":[{"type":"message","role":"assistant","content":'
         '[{"type":"output_text","text":"a"}]}]}',
         [{**text("assistant", "a"), "finish_reason": ""}]),
        ('{"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},'
         '{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}',
         [{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}],
           "finish_reason": ""},
          {"role": "assistant", "parts": [
              {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}"}],
           "finish_reason": "tool_call"}]),
        ('{"choices":[{"message":{"role":"assistant","reasoning_content":"hm","content":null,'
         '"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]},'
         '"finish_reason":"tool_calls"}]}',
         [{"role": "assistant", "parts": [
             {"type": "reasoning", "content": "hm"},
             {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}"}],
           "finish_reason": "tool_call"}]),
        ('{"choices":[{"message":{"role":"assistant","content":null,"refusal":"no"}}]}',
         [{**text("assistant", "no"), "finish_reason": ""}]),
        ('{"choices":[1]}', [{**text("assistant", "1"), "finish_reason": ""}]),
        ("[1,2]", None),
    ],
)  # fmt: skip
def test_answers(given_text: str, messages: list[dict[str, Any]] | None) -> None:
    whole = [{**text("assistant", given_text), "finish_reason": ""}]
    expected = whole if messages is None else messages
    assert jsonio.loads(output_messages(given_text)) == expected


def test_instructions_stand_beside_the_messages() -> None:
    said = '{"instructions":"Be brief.","input":"hello"}'
    parts = system_instructions(said)
    assert parts is not None
    assert jsonio.loads(parts) == [{"type": "text", "content": "Be brief."}]
    assert jsonio.loads(input_messages(said)) == [text("user", "hello")]
    assert system_instructions('{"input":"hello"}') is None
    assert system_instructions("hello") is None


kinds = st.sampled_from(("reasoning", "function_call", "function_call_output"))
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5) | kinds
names = st.sampled_from(
    (
        *("messages", "input", "role", "content", "choices", "message", "tool_calls", "function"),
        *("text", "type", "summary", "output", "refusal"),
    )
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(st.text() | trees.map(lambda tree: jsonio.dumps(tree).decode()))
def test_nothing_is_fatal(said: str) -> None:
    for messages in (input_messages, output_messages):
        for message in jsonio.loads(messages(said)):
            assert message["role"]
            assert message["parts"]


@pytest.mark.parametrize("depth", [200, 300, 900, 5_000])
def test_deep_nesting_is_told_as_text(depth: int) -> None:
    deep = '{"messages":' + "[" * depth + "]" * depth + "}"
    (message,) = jsonio.loads(input_messages(deep))
    assert message["role"] == "user"
