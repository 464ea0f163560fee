"""Holds on disk while requests are in flight: there before anything is sent, gone at the end."""

import asyncio
from pathlib import Path
from typing import Any

from proxy.base import jsonio
from proxy.core.accounting import WORKER_DIED
from proxy.usage.holds_line import HoldLine
from proxy.usage.holds_record import records_of
from proxy.usage.holds_taken import holds_in
from tests.fakes import openai_wire as wire
from tests.fakes.vendor import Vendor, WaitFor
from tests.integration.gateway import Gateway, closed_port, gateway, provider, target
from tests.integration.purse import IN, OUT, PRICE, budget, limited
from tests.integration.raw_caller import Answer

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hi"}]


def chat(**more: Any) -> bytes:
    return jsonio.dumps({"model": "m", "messages": MESSAGES, "max_tokens": 50, **more})


def recorded(vendor: Vendor, folder: Path, **more: Any) -> dict[str, Any]:
    """A configuration that keeps records, and so holds, in a folder."""
    kept = {"store": "embedded", "data_dir": str(folder)}
    return limited(vendor, **{"key": budget(1), **kept, **more})


async def ask(proxy: Gateway, body: bytes | None = None) -> Answer:
    return await (await proxy.call()).ask("POST", CHAT, body=body or chat())


def kept(proxy: Gateway) -> list[HoldLine]:
    """What a taker would find now."""
    file = proxy.app._holds
    assert file is not None and file._descriptor is not None
    return list(holds_in(file._descriptor))


HELD = (len(chat()) + 64) * IN + 50 * OUT


async def test_a_hold_is_kept_before_the_vendor_hears_of_it(vendor: Vendor, tmp_path: Path) -> None:
    async with gateway(recorded(vendor, tmp_path)) as proxy:
        go = asyncio.Event()
        vendor.say(before_head=[WaitFor(go)], body=wire.chat_body())
        asked = asyncio.create_task(ask(proxy))  # noqa: TID251
        await vendor.arrived.reach(1)
        (record,) = records_of(kept(proxy))
        assert (record.cost, record.error) == (HELD, WORKER_DIED)
        assert (record.key, record.model, record.served_provider) == ("purse", "m", "vendor")
        assert record.usage is not None
        assert (record.usage.input, record.usage.output) == (len(chat()) + 64, 50)
        go.set()
        assert (await asked).status == 200
        assert kept(proxy) == []
        assert (await ask(proxy, chat(stream=True))).status == 200
        assert kept(proxy) == []
        folder = tmp_path / "holds"
        assert len(list(folder.glob("*.holds"))) == 1
    assert list(folder.glob("*.holds")) == []


async def test_a_caller_that_goes_leaves_nothing(vendor: Vendor, tmp_path: Path) -> None:
    async with gateway(recorded(vendor, tmp_path)) as proxy:
        vendor.say(before_head=[WaitFor(asyncio.Event())], body=b"")
        caller = await proxy.call()
        asked = asyncio.create_task(caller.ask("POST", CHAT, body=chat()))  # noqa: TID251
        await vendor.arrived.reach(1)
        assert len(kept(proxy)) == 1
        asked.cancel()
        caller.leave()
        while kept(proxy):
            await asyncio.sleep(0.001)


async def test_what_was_never_sent_is_not_kept_beside_the_fallback(
    vendor: Vendor, tmp_path: Path
) -> None:
    away = provider(f"http://127.0.0.1:{closed_port()}/v1")
    targets = [target("away", "m-0"), target("vendor", "m-1", weight=0)]
    models = {"m": {"targets": targets, "price": PRICE}}
    providers = {"away": away, "vendor": provider(vendor.url)}
    async with gateway(recorded(vendor, tmp_path, models=models, providers=providers)) as proxy:
        go = asyncio.Event()
        vendor.say(before_head=[WaitFor(go)], body=wire.chat_body())
        asked = asyncio.create_task(ask(proxy))  # noqa: TID251
        await vendor.arrived.reach(1)
        (line,) = kept(proxy)
        assert (line.held.number, line.standing.target) == (2, "m-1")
        go.set()
        assert (await asked).status == 200
        assert kept(proxy) == []
        assert vendor.calls == 1


async def test_a_hold_that_grows_is_kept_as_it_is(vendor: Vendor, tmp_path: Path) -> None:
    async with gateway(recorded(vendor, tmp_path)) as proxy:
        go = asyncio.Event()
        piece = b'data: {"choices":[{"delta":{"content":"' + b"x" * 3000 + b'"}}]}\n\n'
        vendor.say(headers=wire.EVENT_STREAM, chunks=[piece, WaitFor(go), wire.DONE])
        body = jsonio.dumps({"model": "m", "messages": MESSAGES, "stream": True})
        asked = asyncio.create_task(ask(proxy, body))  # noqa: TID251
        await vendor.arrived.reach(1)
        first = (len(body) + 64) * IN + 4096 * OUT
        while (line := kept(proxy)[0]).held.money == first:
            await asyncio.sleep(0.001)
        assert line.held.money >= first + 1904 * OUT
        assert line.held.output > 4096
        assert len(kept(proxy)) == 1
        go.set()
        assert (await asked).status == 200
        assert kept(proxy) == []


async def test_without_a_budget_nothing_is_kept(vendor: Vendor, tmp_path: Path) -> None:
    async with gateway(recorded(vendor, tmp_path, key={"limits": {"rpm": 9}})) as proxy:
        go = asyncio.Event()
        vendor.say(before_head=[WaitFor(go)], body=wire.chat_body())
        asked = asyncio.create_task(ask(proxy))  # noqa: TID251
        await vendor.arrived.reach(1)
        assert kept(proxy) == []
        go.set()
        assert (await asked).status == 200
