"""Bodies of more than a read: cut anywhere, with something behind them, at the limit and over it,
slow, broken off. Both servers, both loops: they reach the vendor byte for byte or not at all."""

import asyncio

import pytest

from proxy.server.listener import Kind
from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway, gateway, settings
from tests.integration.raw_caller import Caller, request

BOTH_SERVERS = True
BOTH_LOOPS = True

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
_START, _END = b'{"model":"gpt-4o-mini","pad":"', b'"}'
_TEXT = b" ".join(b"%d" % number for number in range(60_000))
"""No stretch of it is like another: what is lost, doubled or moved shows."""


def body_of(size: int) -> bytes:
    return _START + _TEXT[: size - len(_START) - len(_END)] + _END


LARGE = body_of(200_000)
POST = request("POST", CHAT, body=LARGE)
HEAD = len(POST) - len(LARGE)
CUTS = [
    *(1, HEAD - 1, HEAD, HEAD + 1),
    *(4095, 4096, 4097, 16_383, 16_384, 16_385, HEAD + 16_384, 65_536, HEAD + 65_537),
    *(len(POST) - 16_385, len(POST) - 16_384, len(POST) - 4096, len(POST) - 1),
]


async def let_it_be_read() -> None:
    """Until what was sent has surely been read."""
    await asyncio.sleep(0.01)


async def test_cut_anywhere(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    for cut in CUTS:
        await caller.send(POST[:cut])
        await let_it_be_read()
        await caller.send(POST[cut:])
        assert (await caller.answer()).status == 200, cut
        assert vendor.requests.pop().body == LARGE, cut


@pytest.mark.parametrize("size", [1448, 10_000, 16_384, 70_000])
async def test_in_pieces(proxy: Gateway, vendor: Vendor, size: int) -> None:
    caller = await proxy.call()
    for at in range(0, len(POST), size):
        await caller.send(POST[at : at + size])
        await asyncio.sleep(0)
    assert (await caller.answer()).status == 200
    assert vendor.requests[0].body == LARGE


@pytest.mark.parametrize("size", [16_383, 16_384, 16_385, 20_479, 20_480, 65_536, 262_144, 350_000])
async def test_sizes(proxy: Gateway, vendor: Vendor, size: int) -> None:
    caller = await proxy.call()
    for body in (body_of(size), SMALL, body_of(size + 1)):
        assert (await caller.ask("POST", CHAT, body=body)).status == 200
        assert vendor.requests[-1].body == body


async def test_what_json_forbids_deep_in_a_long_text_is_the_vendors_to_refuse(
    proxy: Gateway, vendor: Vendor
) -> None:
    body = LARGE[:100_000] + b"\n\\q" + LARGE[100_000:]
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=body)).status == 200
    assert vendor.requests[-1].body == body
    answer = await caller.ask("POST", CHAT, body=body + b"}")
    assert (answer.status, answer.error["code"]) == (400, "invalid_json")
    assert vendor.calls == 1


async def test_the_next_requests_come_directly_behind(proxy: Gateway, vendor: Vendor) -> None:
    bodies = [LARGE, SMALL, body_of(17_000), LARGE, SMALL, SMALL, body_of(90_000)]
    caller = await proxy.call()
    await caller.send(b"".join(request("POST", CHAT, body=body) for body in bodies))
    for _ in bodies:
        assert (await caller.answer()).status == 200
    assert [asked.body for asked in vendor.requests] == bodies


async def test_nonsense_behind_it_is_refused(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    await caller.send(POST)
    assert (await caller.answer()).status == 200
    await caller.send(b"x" * 30_000)
    assert (await caller.answer()).status == 400
    assert await caller.rest() == b""
    assert vendor.calls == 1


async def test_many_on_one_connection(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    for number in range(30):
        body = LARGE if number % 3 else SMALL
        assert (await caller.ask("POST", CHAT, body=body)).status == 200
        assert vendor.requests.pop().body == body


async def test_many_connections_at_once(proxy: Gateway, vendor: Vendor) -> None:
    sizes = range(100_000, 300_000, 17_000)

    async def ask(size: int) -> None:
        caller = await proxy.call()
        for _ in range(3):
            assert (await caller.ask("POST", CHAT, body=body_of(size))).status == 200

    async with asyncio.TaskGroup() as everybody:
        for size in sizes:
            everybody.create_task(ask(size), name="test: ask")
    came = sorted(len(asked.body) for asked in vendor.requests)
    assert came == sorted([*sizes] * 3)
    assert all(asked.body == body_of(len(asked.body)) for asked in vendor.requests)


async def test_the_limit(vendor: Vendor, http_server: Kind) -> None:
    limited = settings(vendor, http_server=http_server, max_body=len(LARGE))
    async with gateway(limited) as proxy:
        caller = await proxy.call()
        assert (await caller.ask("POST", CHAT, body=LARGE)).status == 200
        await caller.send(request("POST", CHAT, body=body_of(len(LARGE) + 1)))
        answer = await caller.answer()
        assert (answer.status, answer.error["code"]) == (413, "request_too_large")
        assert await caller.rest() == b""
    assert [asked.body for asked in vendor.requests] == [LARGE]


@pytest.mark.parametrize("cut", [HEAD, HEAD + 20_000, len(POST) - 1])
async def test_a_caller_that_leaves_in_the_middle(proxy: Gateway, vendor: Vendor, cut: int) -> None:
    caller = await proxy.call()
    await caller.send(POST[:cut])
    await let_it_be_read()
    caller.leave()
    await let_it_be_read()
    assert (await (await proxy.call()).ask("POST", CHAT, body=LARGE)).status == 200
    assert vendor.calls == 1


@pytest.mark.parametrize("cut", [HEAD, HEAD + 20_000, len(POST) - 1])
async def test_a_caller_that_says_it_ends_in_the_middle(
    proxy: Gateway, vendor: Vendor, cut: int
) -> None:
    caller = await proxy.call()
    await caller.send(POST[:cut])
    caller.writer.write_eof()
    assert b" 200 " not in await caller.rest()
    assert vendor.calls == 0


async def test_who_is_refused_may_ask_again(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=LARGE, key=False)).status == 401
    assert (await caller.ask("POST", "/else/nothing", body=LARGE)).status == 404
    assert (await caller.ask("POST", CHAT, body=LARGE)).status == 200
    assert [asked.body for asked in vendor.requests] == [LARGE]


async def test_http_1_0(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=LARGE, version="1.0")).status == 200
    assert await caller.rest() == b""
    assert vendor.requests[0].body == LARGE


@pytest.mark.parametrize("patient", [True, False])
async def test_who_asks_whether_to_go_on(proxy: Gateway, vendor: Vendor, patient: bool) -> None:
    asks = request("POST", CHAT, headers=[("expect", "100-continue")], body=LARGE)
    head = len(asks) - len(LARGE)
    caller = await proxy.call()
    for _ in range(2):
        await caller.send(asks[:head] if patient else asks)
        first = await caller.head()
        if patient:
            assert first.status == 100
            await caller.send(LARGE)
        answer = await caller.answer() if first.status == 100 else first
        if first.status != 100:  # It was here as a whole: nobody had to be told.
            answer.body = await caller._body(answer)
        assert answer.status == 200
        assert vendor.requests.pop().body == LARGE


async def test_an_upload_passes(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    for _ in range(2):
        await caller.send(request("POST", "/v1/files", body=LARGE))
        assert (await caller.answer()).status == 404, "as the vendor says"
        assert vendor.requests.pop().body == LARGE


async def test_chunks_of_it(proxy: Gateway, vendor: Vendor) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE)
    for _ in range(2):
        caller = await proxy.call()  # aiohttp's server closes after chunks.
        await caller.send(
            request("POST", CHAT, headers=[("transfer-encoding", "chunked")], body=chunks)
        )
        assert (await caller.answer()).status == 200
        assert vendor.requests.pop().body == LARGE


async def ask_slowly(caller: Caller, size: int) -> None:
    for at in range(0, len(POST), size):
        await caller.send(POST[at : at + size])
        await asyncio.sleep(0.002)


async def test_slow_and_fast_ones_do_not_mix(proxy: Gateway, vendor: Vendor) -> None:
    """What is received goes through one place in memory, whoever sent it."""
    slow = [await proxy.call() for _ in range(5)]
    fast = await proxy.call()
    async with asyncio.TaskGroup() as everybody:
        for number, caller in enumerate(slow):
            everybody.create_task(ask_slowly(caller, 9_000 + number * 777), name="test: slow")
        for _ in range(10):
            body = body_of(50_000)
            assert (await fast.ask("POST", CHAT, body=body)).status == 200
    for caller in slow:
        assert (await caller.answer()).status == 200
    bodies = [asked.body for asked in vendor.requests]
    assert (bodies.count(LARGE), bodies.count(body_of(50_000)), len(bodies)) == (5, 10, 15)
