"""The demo vendor through the gateway satisfies the SDK, without a key and without a network."""

from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.conformance.judge import Judge

HELLO: Any = [{"role": "user", "content": "Tell me about rivers."}]
CITY_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


async def text_of(judge: Judge) -> str:
    answer = await judge.ask(lambda c: c.chat.completions.create(model="demo", messages=HELLO))
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    text = answer.choices[0].message.content
    assert isinstance(text, str) and text
    return text


@pytest.mark.parametrize("asked", [True, False])
async def test_a_streamed_chat_says_the_same_as_a_whole_one(judge: Judge, asked: bool) -> None:
    parts = await judge.all(
        lambda c: c.chat.completions.create(
            model="demo", messages=HELLO, stream=True, stream_options={"include_usage": asked}
        )
    )
    said = "".join(p.choices[0].delta.content or "" for p in parts if p.choices)
    assert said == await text_of(judge)
    assert sum(part.usage is not None for part in parts) == asked


async def test_tools(judge: Judge) -> None:
    answer = await judge.ask(
        lambda c: c.chat.completions.create(
            model="demo", messages=HELLO, tools=[CITY_TOOL], tool_choice="required"
        )
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


class River(BaseModel):
    """What a structured answer is read into."""

    name: str
    length: int
    cities: list[str]


async def test_structured_outputs(judge: Judge) -> None:
    chat = await judge.ask(
        lambda c: c.chat.completions.parse(model="demo", messages=HELLO, response_format=River)
    )
    assert isinstance(chat.choices[0].message.parsed, River)
    response = await judge.ask(
        lambda c: c.responses.parse(model="demo", input="Hi", text_format=River)
    )
    assert isinstance(response.output_parsed, River)


async def test_responses(judge: Judge) -> None:
    whole = await judge.ask(lambda c: c.responses.create(model="demo", input="Hi"))
    events = await judge.all(lambda c: c.responses.create(model="demo", input="Hi", stream=True))
    said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert said == whole.output_text != ""
    assert events[-1].type == "response.completed"
    assert whole.usage.total_tokens > 0


async def test_the_other_operations(judge: Judge) -> None:
    vectors = await judge.ask(lambda c: c.embeddings.create(model="demo", input=["a", "b"]))
    floats = await judge.ask(
        lambda c: c.embeddings.create(model="demo", input=["a", "b"], encoding_format="float")
    )
    assert len(vectors.data) == 2
    assert vectors.data[0].embedding == pytest.approx(floats.data[0].embedding, rel=1e-6)
    completion = await judge.ask(lambda c: c.completions.create(model="demo", prompt="Say"))
    assert completion.choices[0].text
    verdict = await judge.ask(lambda c: c.moderations.create(model="demo", input="x"))
    assert verdict.results[0].flagged in {True, False}
    picture = await judge.ask(lambda c: c.images.generate(model="demo", prompt="x"))
    assert picture.data
    sound = await judge.ask(lambda c: c.audio.speech.create(model="demo", voice="alloy", input="x"))
    assert sound.content
    text = await judge.ask(
        lambda c: c.audio.transcriptions.create(model="demo", file=("a.wav", sound.content))
    )
    assert text.text


async def test_a_refusal_of_the_demo_vendor(judge: Judge) -> None:
    with pytest.raises(openai.BadRequestError):
        await judge.ask(lambda c: c.chat.completions.create(model="demo", messages=[]))
