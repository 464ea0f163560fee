"""OpenAI's SDK reads a rescued stream as one answer, its mark included."""

import pytest
from openai import AsyncOpenAI

from proxy.wire.continuation import Prefilled, Repeated, Sent, rescue_event
from proxy.wire.sse import split
from tests.conformance.judge import JUDGES
from tests.fakes.openai_wire import chat_events
from tests.fakes.vendor import Vendor

HEAD = [("content-type", "text/event-stream")]
ASK = [{"role": "user", "content": "Tell me a story."}]
BEGUN = ["Once", " upon a", " time there"]
REST = [" was", " a proxy."]
STORY = "".join(BEGUN + REST)


def rescued(kind: str) -> list[bytes]:
    """What a caller gets: the beginning of one stream, the rest of another, the mark, the end."""
    begun = chat_events(*BEGUN, usage=True)[: len(BEGUN) + 1]
    sent = Sent()
    for event in begun:
        sent.feed(event)
    if kind == "prefill":
        mark = rescue_event("prefill", "p", "other", sent)
        decoder: Prefilled | Repeated = Prefilled(sent, mark)
        second = chat_events(*REST, model="other", usage=True)
    else:
        decoder = Repeated(sent, rescue_event("restart", "p", "other", sent))
        second = chat_events("Once upon a time", " there was", REST[1], model="other", usage=True)
    rest = b"".join([*(decoder.feed(event) for event in second), decoder.finish()])
    return [*begun, *split(rest)]


@pytest.mark.parametrize("kind", ["prefill", "restart"])
@pytest.mark.parametrize("name", JUDGES)
async def test_both_clients_read_one_answer(name: str, kind: str) -> None:
    async with Vendor() as vendor:
        vendor.say(headers=HEAD, chunks=rescued(kind))
        judge = JUDGES[name](vendor.url, "sk-x")
        chunks = await judge.all(
            lambda client: client.chat.completions.create(model="m", messages=ASK, stream=True)
        )
        await judge.close()
    # As OpenAI's own examples read it: without a look at whether there is a choice.
    texts = [each.choices[0].delta.content or "" for each in chunks if each.usage is None]
    assert "".join(texts) == STORY
    assert len({each.id for each in chunks}) == 1
    (mark,) = [each.llm_proxy for each in chunks if hasattr(each, "llm_proxy")]
    assert mark == {"rescue": kind, "provider": "p", "model": "other"}


@pytest.mark.parametrize("kind", ["prefill", "restart"])
async def test_the_helper_that_puts_chunks_together_takes_it_too(kind: str) -> None:
    async with Vendor() as vendor:
        vendor.say(headers=HEAD, chunks=rescued(kind))
        async with (
            AsyncOpenAI(base_url=vendor.url, api_key="sk-x", max_retries=0) as client,
            client.chat.completions.stream(
                model="m", messages=[{"role": "user", "content": "Tell me a story."}]
            ) as stream,
        ):
            answer = await stream.get_final_completion()
    assert answer.choices[0].message.content == STORY
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None  # What comes behind it would make the SDK forget it.
