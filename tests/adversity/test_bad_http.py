"""Callers that do not speak HTTP/1.1 as they must, on raw sockets: a clear 4xx in OpenAI's shape or
a closed connection, at once; never a 5xx, never a request to the vendor that nobody made, and the
worker serves on."""

import asyncio

import pytest

from tests.adversity.bad_requests import FRAMING, HEADS, PATHS
from tests.adversity.expect import CHAT, SMALL, refused, serves_on
from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway
from tests.integration.raw_caller import request

BOTH_SERVERS = True


@pytest.mark.parametrize("name", FRAMING)
async def test_ambiguous_framing(proxy: Gateway, vendor: Vendor, name: str) -> None:
    caller = await proxy.call()
    await caller.send(FRAMING[name])
    await refused(caller)
    async with asyncio.timeout(8):
        assert b" 200 " not in await caller.rest()  # Nothing behind it was taken for a request.
    await serves_on(proxy, vendor)


@pytest.mark.parametrize("name", HEADS)
async def test_malformed_heads(proxy: Gateway, vendor: Vendor, name: str) -> None:
    caller = await proxy.call()
    await caller.send(HEADS[name])
    caller.writer.write_eof()  # Some of it may be the beginning of something.
    await refused(caller)
    await serves_on(proxy, vendor)


@pytest.mark.parametrize("path", PATHS)
async def test_ambiguous_paths(proxy: Gateway, vendor: Vendor, path: str) -> None:
    caller = await proxy.call()
    await caller.send(request("GET", path))
    assert await refused(caller) in {"bad_path", "bad_http", None}
    await serves_on(proxy, vendor)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/favicon.ico"),
        ("POST", "/v2/chat/completions"),
        ("OPTIONS", "*"),
        ("CONNECT", "vendor.test:443"),
        ("GET", "/V1/models"),
        ("TRACE", "/x"),
    ],
)
async def test_paths_that_are_not_here(
    proxy: Gateway, vendor: Vendor, method: str, path: str
) -> None:
    caller = await proxy.call()
    await caller.send(request(method, path))
    assert await refused(caller, (400, 404, 405)) in {"unknown_url", "bad_http", "bad_path", None}
    await serves_on(proxy, vendor)


@pytest.mark.parametrize("path", ["/v1/realtime?model=gpt-4o", "/v1/responses", "/v1/models"])
async def test_a_websocket_is_refused(proxy: Gateway, vendor: Vendor, path: str) -> None:
    fields = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    caller = await proxy.call()
    await caller.send(request("GET", path, headers=fields))
    assert await refused(caller, (400, 426)) == "not_supported"
    await serves_on(proxy, vendor)


async def test_an_upgrade_to_http_2_is_not_taken(proxy: Gateway, vendor: Vendor) -> None:
    fields = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "")]
    caller = await proxy.call()
    answer = await caller.ask("GET", "/v1/models", headers=fields)
    assert answer.status == 200
    await serves_on(proxy, vendor)


async def test_a_body_cut_short_by_a_half_close(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    await caller.send(request("POST", CHAT, headers=[("content-length", "99")]) + SMALL)
    caller.writer.write_eof()
    await refused(caller)
    await serves_on(proxy, vendor)
