"""Callers that send what they must not, on raw sockets: a clear 4xx in OpenAI's shape or a closed
connection, at once; never a 5xx, never a request to the vendor that nobody made, and the worker
serves on."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway, gateway, settings
from tests.integration.raw_caller import Caller, request

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
START = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-everything\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(SMALL)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"17\r\n" + SMALL + b"\r\n0\r\n\r\n"
NEXT = b"GET /v1/files/smuggled HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-everything\r\n\r\n"
MAX_BODY = 1024 * 1024


@pytest.fixture
async def proxy(vendor: Vendor) -> AsyncIterator[Gateway]:
    """The gateway with a small `max_body`."""
    async with gateway(settings(vendor, max_body=MAX_BODY)) as proxy:
        yield proxy


async def refused(caller: Caller, statuses: Sequence[int] = (400,)) -> str | None:
    """A refusal in OpenAI's shape, or a close; gives the refusal's code."""
    async with asyncio.timeout(8):
        try:
            answer = await caller.answer()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            assert not getattr(error, "partial", b"")
            return None
    assert answer.status in statuses, answer
    assert answer.error["type"] in {"invalid_request_error", "timeout"}
    return answer.error["code"] or ""


async def serves_on(proxy: Gateway, vendor: Vendor, calls: int = 0) -> None:
    """The vendor was not asked, and the worker answers the next caller."""
    assert vendor.calls == calls
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=SMALL)).status == 200


FRAMING: dict[str, bytes] = {
    "both framings": START + LENGTH + CHUNKED + b"\r\n" + CHUNKS + NEXT,
    "both framings, the other way": START + CHUNKED + LENGTH + b"\r\n" + CHUNKS + NEXT,
    "two lengths, equal": START + LENGTH + LENGTH + b"\r\n" + SMALL + NEXT,
    "two lengths, different": START + LENGTH + b"Content-Length: 1\r\n\r\n" + SMALL + NEXT,
    "two lengths in one field": START + b"Content-Length: 23, 23\r\n\r\n" + SMALL + NEXT,
    "a negative length": START + b"Content-Length: -1\r\n\r\n" + SMALL,
    "a signed length": START + b"Content-Length: +23\r\n\r\n" + SMALL,
    "a length in words": START + b"Content-Length: many\r\n\r\n" + SMALL,
    "an endless length": START + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + SMALL,
    "an empty length": START + b"Content-Length:\r\n\r\n" + SMALL,
    "a length in hex": START + b"Content-Length: 0x17\r\n\r\n" + SMALL,
    "a length with _": START + b"Content-Length: 2_3\r\n\r\n" + SMALL,
    "an unknown coding": START + b"Transfer-Encoding: gzip\r\n\r\n" + CHUNKS,
    "a second coding": START + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKS,
    "chunked twice": START + CHUNKED + CHUNKED + b"\r\n" + CHUNKS + NEXT,
    "a disguised coding": START + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "a coding with \x0b": START + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "chunks in HTTP/1.0": START.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n" + CHUNKS + NEXT,
    "a chunk size in words": START + CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": START + CHUNKED + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with 0x": START + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with spaces": START + CHUNKED + b"\r\n 2\r\n{}\r\n0\r\n\r\n",
    "a huge chunk size": START + CHUNKED + b"\r\n" + b"f" * 30 + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk that is too long": START + CHUNKED + b"\r\n2\r\n{}xx\r\n0\r\n\r\n",
    "a bare LF after a size": START + CHUNKED + b"\r\n17\n" + SMALL + b"\r\n0\r\n\r\n" + NEXT,
    "a chunk extension with LF": START + CHUNKED + b"\r\n17;a\nb\r\n" + SMALL + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", FRAMING)
async def test_ambiguous_framing(proxy: Gateway, vendor: Vendor, name: str) -> None:
    caller = await proxy.call()
    await caller.send(FRAMING[name])
    await refused(caller)
    async with asyncio.timeout(8):
        assert b" 200 " not in await caller.rest()  # Nothing behind it was taken for a request.
    await serves_on(proxy, vendor)


GET = b"GET /v1/models HTTP/1.1\r\n"
KEY = b"Host: x\r\nAuthorization: Bearer sk-everything\r\n"
HEADS: dict[str, bytes] = {
    "a bare LF": b"GET /v1/models HTTP/1.1\nHost: x\n\n",
    "a bare CR": GET + b"Host: x\rX: y\r\n\r\n",
    "a folded field": GET + KEY + b"X-A: b\r\n c\r\n\r\n",
    "a space before the colon": GET + KEY + b"X-A : b\r\n\r\n",
    "a space before the first field": GET + b" X: y\r\n" + KEY + b"\r\n",
    "a field without a colon": GET + KEY + b"nonsense\r\n\r\n",
    "a field without a name": GET + KEY + b": nonsense\r\n\r\n",
    "a name with (": GET + KEY + b"X(A: b\r\n\r\n",
    "a NUL in a value": GET + KEY + b"X-A: b\x00c\r\n\r\n",
    "a NUL in a name": GET + KEY + b"X\x00A: b\r\n\r\n",
    "a field over 16 KiB": GET + KEY + b"X-A: " + b"b" * 20_000 + b"\r\n\r\n",
    "a field name over 16 KiB": GET + KEY + b"X" * 20_000 + b": b\r\n\r\n",
    "1000 fields": GET + KEY + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n",
    "a target over 16 KiB": b"GET /v1/models?" + b"a" * 20_000 + b" HTTP/1.1\r\n" + KEY + b"\r\n",
    "a bad method": b"G(T /v1/models HTTP/1.1\r\n" + KEY + b"\r\n",
    "no method": b" /v1/models HTTP/1.1\r\n" + KEY + b"\r\n",
    "no version": b"GET /v1/models\r\n\r\n",
    "a version of the future": b"GET /v1/models HTTP/3.7\r\n" + KEY + b"\r\n",
    "a bad version": b"GET /v1/models HTTP/x\r\n" + KEY + b"\r\n",
    "another protocol": b"GET /v1/models FTP/1.1\r\n" + KEY + b"\r\n",
    "a space in the target": b"GET /v1/mod els HTTP/1.1\r\n" + KEY + b"\r\n",
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "a TLS hello": bytes.fromhex("16030100c2010000be0303") + bytes(range(184)),
    "a TLS 1.0 hello with LF": b"\x16\x03\x01\x00\x05\x01\r\n\r\n",
    "a SOCKS greeting": b"\x05\x01\x00\r\n\r\n",
    "nothing but line ends": b"\r\n" * 20_000 + b"x\r\n\r\n",
}


@pytest.mark.parametrize("name", HEADS)
async def test_malformed_heads(proxy: Gateway, vendor: Vendor, name: str) -> None:
    caller = await proxy.call()
    await caller.send(HEADS[name])
    caller.writer.write_eof()  # Some of it may be the beginning of something.
    await refused(caller)
    await serves_on(proxy, vendor)


PATHS = [
    "/v1/files/../admin",
    "/v1/files/%2e%2e/admin",
    "/v1/files/%2E./x",
    "/v1/./files",
    "/v1/files/..",
    "/v1/files/..%2fadmin",
    "/v1/files\\..\\admin",
    "/v1/files/%5c..%5cx",
    "/v1//files",
    "/v1/files/%00",
    "/v1/files/\xe9",
    "http://other.test/v1/files/../x",
]


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


BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "invalid_json"),
    "white space": (b" \r\n", "invalid_json"),
    "an array": (b"[" + SMALL + b"]", "invalid_json"),
    "a string": (b'"model"', "invalid_json"),
    "null": (b"null", "invalid_json"),
    "not JSON": (b"model=gpt-4o-mini", "invalid_json"),
    "cut off": (SMALL[:-1], "invalid_json"),
    "two objects": (SMALL * 2, "invalid_json"),
    "a trailing comma": (SMALL[:-1] + b",}", "invalid_json"),
    "a comment": (SMALL + b"// x", "invalid_json"),
    "NaN": (SMALL[:-1] + b',"n":NaN}', "invalid_json"),
    "100k arrays": (SMALL[:-1] + b',"n":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
    "100k objects": (SMALL[:-1] + b',"n":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "invalid_json"),
    "100k open arrays": (b"[" * 100_000, "invalid_json"),
    "invalid UTF-8": (SMALL[:-1] + b',"n":"\xff"}', "invalid_json"),
    "a surrogate in UTF-8": (SMALL[:-1] + b',"n":"\xed\xa0\x80"}', "invalid_json"),
    "UTF-16": (SMALL.decode().encode("utf-16"), "invalid_json"),
    "a NUL": (SMALL[:-1] + b',"n":"a\x00b"}', "invalid_json"),
    "a NUL behind": (SMALL + b"\x00", "invalid_json"),
    "a line feed in a string": (SMALL[:-1] + b',"n":"a\nb"}', "invalid_json"),
    "model twice": (b'{"model":"gpt-4o-mini","model":"renamed"}', "duplicate_field"),
    "model twice, escaped": (b'{"model":"gpt-4o-mini","mod\\u0065l":"renamed"}', "duplicate_field"),
    "stream twice": (SMALL[:-1] + b',"stream":true,"stream":false}', "duplicate_field"),
    "a number as model": (b'{"model":1}', "invalid_type"),
    "an array as model": (b'{"model":["gpt-4o-mini"]}', "invalid_type"),
    "a string as stream": (SMALL[:-1] + b',"stream":"true"}', "invalid_type"),
    "a number as stream": (SMALL[:-1] + b',"stream":1}', "invalid_type"),
    "an array as options": (SMALL[:-1] + b',"stream":true,"stream_options":[]}', "invalid_type"),
}  # fmt: skip


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
    body = SMALL[:-1] + b',"n":' + b"9" * 10_000 + b',"e":1e99999,"f":0.' + b"1" * 10_000 + b"}"
    caller = await proxy.call()
    for _ in range(2):
        assert (await caller.ask("POST", CHAT, body=body)).status == 200
        assert vendor.requests[-1].body == body
        body = body.replace(b"}", b',"stream":false,"\\u0061":{"model":1,"model":2}}')


BOMB = gzip.compress(b'{"model":"' + b"x" * 100 * MAX_BODY + b'"}')
PACKED: dict[str, tuple[bytes, str, int]] = {
    "a bomb": (BOMB, "gzip", 413),
    "a zlib bomb": (zlib.compress(b" " * 100 * MAX_BODY), "deflate", 413),
    "cut off": (gzip.compress(SMALL)[:-9], "gzip", 400),
    "not gzip": (SMALL, "gzip", 400),
    "a broken checksum": (gzip.compress(SMALL)[:-8] + bytes(8), "gzip", 400),
    "nothing": (b"", "gzip", 400),
    "an unknown coding": (SMALL, "br2", 415),
    "two codings": (gzip.compress(gzip.compress(SMALL)), "gzip, gzip", 415),
}


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


FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", b"--x--\r\n"),
    "a head without end": ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 5000),
    "two models": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-4o-mini\r\n' * 2
        + b"--x--",
    ),
    "a long model": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + b"m" * 9000 + b"\r\n--x--",
    ),
    "a model in bad UTF-8": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n\xff\r\n--x--\r\n',
    ),
}


@pytest.mark.parametrize("name", FORMS)
async def test_bad_forms(proxy: Gateway, vendor: Vendor, name: str) -> None:
    content_type, body = FORMS[name]
    caller = await proxy.call()
    path = "/v1/audio/transcriptions"
    answer = await caller.ask("POST", path, headers=[("content-type", content_type)], body=body)
    assert answer.status == 400 and answer.error["type"] == "invalid_request_error"
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
