"""What the vendor sends is no answer: 502 in OpenAI's shape, and nothing of it is passed on."""

import gzip
from collections.abc import Sequence

import pytest

from tests.adversity.expect import last_event, still_serves
from tests.fakes import openai_wire as wire
from tests.fakes.vendor import FIN, Vendor
from tests.integration.gateway import Gateway, closed_port, gateway, settings

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
STREAM = b'{"model":"gpt-4o-mini","stream":true}'
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"

NOT_HTTP = {
    "garbage": b"\x00\x01\x02garbage\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "tls alert": b"\x15\x03\x03\x00\x02\x02\x16",
    "http/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80",
    "a bad status": b"HTTP/1.1 999999 Strange\r\ncontent-length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\ncontent-length: 0\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "a bad length": OK + b"content-length: -5\r\n\r\n{}",
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "both framings": OK + b"content-length: 2\r\n" + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",
    "a bad coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a bad chunk": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a huge head": OK + b"x-pad: " + b"a" * 200_000 + b"\r\ncontent-length: 2\r\n\r\n{}",
    "a head without end": OK + b"x: y\r\n" * 100_000,
    "a NUL": OK + b"x-bad: a\x00b\r\ncontent-length: 2\r\n\r\n{}",
    "a bare CR": OK + b"x-bad: a\rb: c\r\ncontent-length: 2\r\n\r\n{}",
    "a field without colon": OK + b"nonsense\r\ncontent-length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("name", NOT_HTTP)
async def test_what_is_not_http(proxy: Gateway, vendor: Vendor, name: str) -> None:
    vendor.say_raw(NOT_HTTP[name], FIN)
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert answer.error["code"] in {"upstream_malformed", "upstream_reset", "upstream_cut"}
    await still_serves(proxy)


NOT_AN_ANSWER: dict[str, tuple[int, Sequence[tuple[str, str]], bytes]] = {
    "html": (200, [("content-type", "text/html; charset=utf-8")], b"<html>Log in</html>"),
    "html in capitals": (200, [("content-type", "Text/HTML")], b"<html>Log in</html>"),
    "nothing": (200, [("content-type", "application/json")], b""),
    "nothing without a type": (200, [], b""),
    "half of an object": (200, [("content-type", "application/json")], b'{"id":"x","choic'),
    "a redirect": (302, [("location", "https://elsewhere.test/")], b""),
    "no gzip": (
        200,
        [("content-type", "application/json"), ("content-encoding", "gzip")],
        b'{"plain":1}',
    ),
    "half of gzip": (
        200,
        [("content-type", "application/json"), ("content-encoding", "gzip")],
        gzip.compress(wire.chat_body())[:-20],
    ),
}


@pytest.mark.parametrize("name", NOT_AN_ANSWER)
@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings", "/v1/responses"])
async def test_what_is_not_an_answer(proxy: Gateway, vendor: Vendor, name: str, path: str) -> None:
    status, headers, body = NOT_AN_ANSWER[name]
    vendor.say(status, headers, body)
    caller = await proxy.call()
    answer = await caller.ask("POST", path, body=SMALL)
    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert "Log in" not in answer.error["message"]
    await still_serves(proxy)


@pytest.mark.parametrize("size", [1, 50, 400, -2])
@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
async def test_json_whose_only_end_is_the_close_must_be_whole(
    proxy: Gateway, vendor: Vendor, path: str, size: int
) -> None:
    """Without a length a cut looks like an end to HTTP: the content must say which it is."""
    body = wire.chat_body()
    vendor.say(body=body[:size], framing="close")
    caller = await proxy.call()
    answer = await caller.ask("POST", path, body=SMALL)
    assert (answer.status, answer.error["code"]) == (502, "upstream_cut")
    vendor.say(body=body, framing="close")
    assert (await caller.ask("POST", path, body=SMALL)).body == body


async def test_json_where_a_stream_was_asked_passes(proxy: Gateway, vendor: Vendor) -> None:
    """Some vendors do not stream: it is an answer all the same, and says what it is."""
    vendor.say(body=wire.chat_body())
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    assert (answer.status, answer.body) == (200, wire.chat_body())
    assert answer.header("content-type") == "application/json"


async def test_an_empty_stream_is_an_error(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say(headers=wire.EVENT_STREAM, chunks=[])
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    if answer.status == 200:
        assert last_event(answer.body)["code"] == "upstream_cut"
    else:
        assert (answer.status, answer.error["code"]) == (502, "upstream_cut")


async def test_a_stream_whose_coding_is_broken_is_cut(proxy: Gateway, vendor: Vendor) -> None:
    packed = gzip.compress(b"".join(wire.chat_events(usage=True)))
    fields = [*wire.EVENT_STREAM, ("content-encoding", "gzip")]
    vendor.say(headers=fields, chunks=[packed[:60], b"\xff" * 60])
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    if answer.status == 200:
        assert last_event(answer.body)["code"] == "upstream_malformed"
    else:
        assert (answer.status, answer.error["code"]) == (502, "upstream_malformed")
    await still_serves(proxy)


async def test_a_stream_whose_gzip_is_cut_off_is_not_whole(proxy: Gateway, vendor: Vendor) -> None:
    packed = gzip.compress(b"".join(wire.chat_events("a" * 1000, usage=True)))
    fields = [*wire.EVENT_STREAM, ("content-encoding", "gzip")]
    vendor.say(headers=fields, chunks=[packed[: len(packed) // 2]])
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    if answer.status == 200:
        last_event(answer.body)
    else:
        assert (answer.status, answer.error["type"]) == (502, "upstream_error")


async def test_a_gzip_bomb_of_the_vendor_is_refused(proxy: Gateway, vendor: Vendor) -> None:
    bomb = gzip.compress(b'{"error":{"message":"' + b"x" * 50_000_000 + b'"}}')
    fields = [("content-type", "application/json"), ("content-encoding", "gzip")]
    vendor.say(500, fields, bomb)
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert answer.error["type"] == "upstream_error" and len(answer.body) < 1000
    assert answer.status == 500
    await still_serves(proxy)


@pytest.mark.parametrize("url", ["refused", "http://nobody.invalid/v1"])
@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
async def test_a_vendor_that_cannot_be_reached(url: str, path: str) -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1" if url == "refused" else url
    async with gateway(settings(url)) as proxy:
        caller = await proxy.call()
        answer = await caller.ask("POST", path, body=SMALL)
        assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
        assert "127.0.0.1" not in answer.body.decode() and "invalid" not in answer.body.decode()


async def test_the_vendor_cannot_write_into_our_head(proxy: Gateway, vendor: Vendor) -> None:
    folded = OK + b"x-folded: a\r\n b: c\r\ncontent-length: 2\r\n\r\n{}"
    vendor.say_raw(folded, FIN)
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert answer.status in {200, 502}
    assert answer.all("b") == []
