"""Bodies that are wrong, too large, or made to be: a clear 4xx that says what is wrong, nothing
sent to the vendor, and where the framing was right the connection is still good."""

from collections.abc import AsyncIterator

import pytest

from tests.adversity.bad_requests import BODIES, FORMS, MAX_BODY, PACKED
from tests.adversity.expect import CHAT, SMALL, refused, serves_on
from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway, gateway, settings
from tests.integration.raw_caller import request


@pytest.fixture
async def proxy(vendor: Vendor) -> AsyncIterator[Gateway]:
    """The gateway with a small `max_body`."""
    async with gateway(settings(vendor, max_body=MAX_BODY)) as proxy:
        yield proxy


@pytest.mark.parametrize("name", BODIES)
async def test_bad_bodies(proxy: Gateway, vendor: Vendor, name: str) -> None:
    body, code = BODIES[name]
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=body)
    assert (answer.status, answer.error["code"]) == (400, code)
    assert len(answer.body) < 1000
    assert (await caller.ask("GET", "/healthz")).status == 200  # The connection is still good.
    await serves_on(proxy, vendor)


@pytest.mark.parametrize(
    "model", [b"", b"x" * 10_000, b"a\\nb", b"\\u0000", b"\\ud800", b"nothing"]
)
async def test_bad_names_of_models(proxy: Gateway, vendor: Vendor, model: bytes) -> None:
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=b'{"model":"%b"}' % model)
    assert answer.status in {400, 404} and answer.error["type"] == "invalid_request_error"
    assert len(answer.body) < 2000
    await serves_on(proxy, vendor)


async def test_numbers_with_10k_digits_are_the_vendor_s_business(
    proxy: Gateway, vendor: Vendor
) -> None:
    body = SMALL[:-1] + b',"seed":' + b"9" * 10_000 + b',"e":1e99999,"f":0.' + b"1" * 10_000 + b"}"
    caller = await proxy.call()
    for _ in range(2):
        assert (await caller.ask("POST", CHAT, body=body)).status == 200
        assert vendor.requests[-1].body == body
        body = body.replace(b"}", b',"stream":false,"\\u0061":{"model":1,"model":2}}')


@pytest.mark.parametrize("name", PACKED)
async def test_bad_codings(proxy: Gateway, vendor: Vendor, name: str) -> None:
    body, coding, status = PACKED[name]
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, headers=[("Content-Encoding", coding)], body=body)
    assert answer.status == status and answer.error["type"] == "invalid_request_error"
    await serves_on(proxy, vendor)


@pytest.mark.parametrize("path", [CHAT, "/v1/files", "/v1/audio/transcriptions"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_over_the_limit(
    proxy: Gateway, vendor: Vendor, path: str, chunked: bool
) -> None:
    fields = [("content-type", "multipart/form-data; boundary=b")] if "audio" in path else []
    caller = await proxy.call()
    piece = b"x" * 65536
    if chunked:
        await caller.send(
            request("POST", path, headers=[*fields, ("transfer-encoding", "chunked")])
        )
        for _ in range(MAX_BODY // len(piece) + 1):
            caller.writer.write(b"10000\r\n" + piece + b"\r\n")
    else:
        length = ("content-length", str(MAX_BODY + 1))
        await caller.send(request("POST", path, headers=[*fields, length]))
    assert await refused(caller, (413,)) == "request_too_large"
    await serves_on(proxy, vendor)


@pytest.mark.parametrize("name", FORMS)
async def test_bad_forms(proxy: Gateway, vendor: Vendor, name: str) -> None:
    content_type, body = FORMS[name]
    caller = await proxy.call()
    path = "/v1/audio/transcriptions"
    answer = await caller.ask("POST", path, headers=[("content-type", content_type)], body=body)
    assert answer.status == 400 and answer.error["type"] == "invalid_request_error"
    await serves_on(proxy, vendor)
