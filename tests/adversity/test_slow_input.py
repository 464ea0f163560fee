"""Callers that send too slowly are ended within 15 s, all at the same time; callers that are merely
not fast are not."""

import asyncio
from collections.abc import Iterator

import pytest

from proxy.base.clock import monotonic
from tests.adversity.expect import eventually
from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway
from tests.integration.raw_caller import Caller, request

BOTH_SERVERS = True

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
LENGTH = ("content-length", "1000000")
CHUNKED = ("transfer-encoding", "chunked")


async def drip(caller: Caller, start: bytes, pieces: Iterator[bytes], every: float) -> None:
    """Send pieces until the gateway closes or the caller is left."""
    caller.writer.write(start)
    for piece in pieces:
        if caller.writer.is_closing():
            return
        caller.writer.write(piece)
        await asyncio.sleep(every)


def endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


SLOW: dict[str, tuple[bytes, bytes]] = {
    "a head byte by byte": (b"POST ", b"x"),
    "a head field by field": (request("GET", "/v1/models")[:-2], b"X-A: b\r\n"),
    "empty lines before a head": (b"", b"\r\n"),
    "a JSON body byte by byte": (request("POST", CHAT, headers=[LENGTH]), b" "),
    "a JSON body in chunks": (request("POST", CHAT, headers=[CHUNKED]), b"1\r\n \r\n"),
    "a body that never comes": (request("POST", CHAT, headers=[LENGTH]), b""),
    "an upload byte by byte": (request("POST", "/v1/files", headers=[LENGTH]), b"x"),
    "an upload in chunks": (request("POST", "/v1/files", headers=[CHUNKED]), b"1\r\nx\r\n"),
}


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_slow_callers_are_ended_and_patient_ones_are_not(
    proxy: Gateway, vendor: Vendor
) -> None:
    ended: dict[str, tuple[float, bytes]] = {}
    started = monotonic()

    async def slow(name: str) -> None:
        start, piece = SLOW[name]
        caller = await proxy.call()
        async with asyncio.TaskGroup() as both:
            dripping = both.create_task(drip(caller, start, endless(piece), 0.2), name="test: drip")
            said = await caller.rest()
            ended[name] = (monotonic() - started, said)
            dripping.cancel()

    async def patient() -> None:
        """2 kB a second is slow, and enough."""
        caller = await proxy.call()
        body = SMALL[:-1] + b',"pad":"' + b"x" * 28_000 + b'"}'
        pieces = iter([body[at : at + 400] for at in range(0, len(body), 400)])
        head = request("POST", CHAT, headers=[("content-length", str(len(body)))])
        await drip(caller, head, pieces, 0.17)
        assert (await caller.answer()).status == 200
        ended["patient"] = (monotonic() - started, b"")

    async with asyncio.timeout(20), asyncio.TaskGroup() as everybody:
        for name in SLOW:
            everybody.create_task(slow(name), name="test: slow")
        everybody.create_task(patient(), name="test: patient")
    for name in SLOW:
        seconds, said = ended[name]
        assert 5 < seconds < 15, (name, seconds)
        assert said == b"" or said.startswith(b"HTTP/1.1 408 "), (name, said)
    assert ended["patient"][0] > 11
    assert vendor.calls == 1
    await eventually(lambda: not proxy.upstream_open())
