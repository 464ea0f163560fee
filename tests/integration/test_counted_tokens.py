"""From a vendor that names no usage to the record: counted, to the token, on both event loops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.base.jsonio import dumps, loads
from proxy.usage.tokens.counter import ThreadCounter
from proxy.wire.record import Usage, UsageRecord
from proxy.wire.record_reader import record_of
from tests.fakes.openai_wire import EVENT_STREAM, WORDS, chat_body, chat_events, response_events
from tests.fakes.vendor import Reply, Request, Vendor, WaitFor
from tests.integration.gateway import Gateway, gateway, provider, target

CHAT = "/v1/chat/completions"
PRICE = {"input": 2.5, "output": 10}
MESSAGES = [{"role": "user", "content": "hello world"}]
# 3 for the message, 1 for its role, 2 for its text, 3 that begin the answer; nine words.
COUNTED = Usage(9, 9)


def configuration(vendor: Vendor, folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "auth": "none",
        "listen": "127.0.0.1:0",
        "data_dir": str(folder),
        "providers": {"vendor": provider(vendor.url)},
        "models": {"gpt": {"targets": [target("vendor", "gpt-4o")], "price": PRICE}},
        **more,
    }


@asynccontextmanager
async def patient(settings: dict[str, Any]) -> AsyncIterator[Gateway]:
    """A gateway that has time: on a busy machine an encoding may take longer than the deadline."""
    async with gateway(settings) as proxy:
        assert proxy.app._built is not None
        tokens = proxy.app._built.runtime.tokens
        if isinstance(tokens, ThreadCounter):
            tokens._deadline = 30.0
        yield proxy


def without_usage(body: bytes) -> bytes:
    answer = loads(body)
    del answer["usage"]
    return dumps(answer)


SILENT = without_usage(chat_body())


async def records(folder: Path) -> list[UsageRecord]:
    """All that was recorded, in order."""

    def read() -> list[UsageRecord]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        lines = [line for path in files for line in path.read_bytes().splitlines(keepends=True)]
        found = [record_of(line) for line in lines if b'{"v":' in line]
        return sorted(found, key=lambda record: record.at)

    return await asyncio.to_thread(read)


def silent(request: Request) -> Reply:
    """A vendor that speaks correctly, and never of usage."""
    fields = loads(request.body)
    if fields.get("stream"):
        return Reply(headers=EVENT_STREAM, chunks=chat_events(), framing="chunked")
    return Reply(body=SILENT)


def asking(**more: Any) -> bytes:
    return dumps({"model": "gpt", "messages": MESSAGES, **more})


async def test_whole_answers_are_counted(vendor: Vendor, tmp_path: Path) -> None:
    vendor.always(silent)
    async with patient(configuration(vendor, tmp_path)) as proxy:
        caller = await proxy.call()
        for _ in range(2):
            answer = await caller.ask("POST", CHAT, body=asking())
            assert (answer.status, answer.body) == (200, SILENT)
            last = (await records(tmp_path))[-1]  # Written before the answer was whole.
            assert (last.usage, last.usage_source) == (COUNTED, "counted")
            assert last.cost == 9 * 2_500 + 9 * 10_000  # Nano-USD.


async def test_streams_are_counted_from_the_second_on(vendor: Vendor, tmp_path: Path) -> None:
    vendor.always(silent)
    async with patient(configuration(vendor, tmp_path)) as proxy:
        caller = await proxy.call()
        for _ in range(3):
            answer = await caller.ask("POST", CHAT, body=asking(stream=True))
            assert answer.body == b"".join(chat_events())
    first, *others = await records(tmp_path)
    assert first.usage_source == "estimated"
    assert [(each.usage, each.usage_source) for each in others] == [(COUNTED, "counted")] * 2


async def test_the_vendors_own_count_is_the_one_that_counts(vendor: Vendor, tmp_path: Path) -> None:
    async with patient(configuration(vendor, tmp_path)) as proxy:
        caller = await proxy.call()
        for stream in (False, True, False, True):
            await caller.ask("POST", CHAT, body=asking(stream=stream))
        built = proxy.app._built
        assert built is not None
        assert not built.runtime.tokens._pool._threads  # type: ignore[attr-defined]
    assert {each.usage_source for each in await records(tmp_path)} == {"upstream"}


async def test_what_was_learnt_outlives_a_reload(vendor: Vendor, tmp_path: Path) -> None:
    vendor.always(silent)
    settings = configuration(vendor, tmp_path)
    async with patient(settings) as proxy:
        caller = await proxy.call()
        await caller.ask("POST", CHAT, body=asking(stream=True))
        await proxy.reload({**settings, "max_body": "1MiB"})
        await caller.ask("POST", CHAT, body=asking(stream=True))
    assert [each.usage_source for each in await records(tmp_path)] == ["estimated", "counted"]


async def test_nothing_is_counted_where_nothing_is_recorded(vendor: Vendor, tmp_path: Path) -> None:
    vendor.always(silent)
    async with patient(configuration(vendor, tmp_path, store="none")) as proxy:
        caller = await proxy.call()
        answer = await caller.ask("POST", CHAT, body=asking())
        assert answer.body == SILENT
        built = proxy.app._built
        assert built is not None
        assert not built.runtime.tokens.wants(None)  # type: ignore[arg-type]


def responses(_: Request) -> Reply:
    *events, last = response_events()
    head, mark, said = last.partition(b"data: ")
    final = loads(said)
    final["response"]["usage"] = None
    events.append(head + mark + dumps(final) + b"\n\n")
    return Reply(headers=EVENT_STREAM, chunks=events, framing="chunked")


def embeddings(_: Request) -> Reply:
    data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    return Reply(body=dumps({"object": "list", "data": data, "model": "m"}))


@pytest.mark.parametrize(
    ("path", "fields", "reply", "usage"),
    [
        ("/v1/responses", {"input": "hello world", "stream": True}, responses, COUNTED),
        ("/v1/embeddings", {"input": ["hello world", "hello"]}, embeddings, Usage(3, 0)),
    ],
)
async def test_other_operations_are_counted(
    vendor: Vendor,
    tmp_path: Path,
    path: str,
    fields: dict[str, Any],
    reply: Callable[[Request], Reply],
    usage: Usage,
) -> None:
    vendor.always(reply)
    async with patient(configuration(vendor, tmp_path)) as proxy:
        caller = await proxy.call()
        for _ in range(2):
            await caller.ask("POST", path, body=dumps({"model": "gpt", **fields}))
    last = (await records(tmp_path))[-1]
    assert (last.usage, last.usage_source) == (usage, "counted")


async def test_a_vendor_that_never_ends_its_stream_holds_nobody_up(
    vendor: Vendor, tmp_path: Path
) -> None:
    """The caller has `[DONE]`, and the record is written, while the vendor still sits there."""
    vendor.say(body=SILENT)
    end = asyncio.Event()
    vendor.say(headers=EVENT_STREAM, chunks=[*chat_events(), WaitFor(end)])
    async with patient(configuration(vendor, tmp_path)) as proxy:
        caller = await proxy.call()
        await caller.ask("POST", CHAT, body=asking())
        asked = asyncio.create_task(  # noqa: TID251
            caller.ask("POST", CHAT, body=asking(stream=True)), name="test: caller"
        )
        async with asyncio.timeout(10):
            while len(found := await records(tmp_path)) < 2:
                await asyncio.sleep(0.01)
        assert (found[-1].usage, found[-1].usage_source) == (COUNTED, "counted")
        end.set()
        assert (await asked).body == b"".join(chat_events())


async def test_a_caller_that_leaves_is_charged_by_estimate(vendor: Vendor, tmp_path: Path) -> None:
    vendor.say(body=SILENT)
    vendor.say(headers=EVENT_STREAM, chunks=[*chat_events(*WORDS)[:3], WaitFor(asyncio.Event())])
    async with patient(configuration(vendor, tmp_path)) as proxy:
        caller = await proxy.call()
        await caller.ask("POST", CHAT, body=asking())
        gone = asyncio.create_task(  # noqa: TID251
            caller.ask("POST", CHAT, body=asking(stream=True)), name="test: caller"
        )
        await vendor.arrived.reach(2)
        caller.leave()
        await vendor.gone.reach(1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    last = (await records(tmp_path))[-1]
    assert (last.outcome, last.usage_source) == ("client_gone", "estimated")
