"""What reaches the caller: the vendor's bytes and fields, framed so that each kind of caller can
tell where they end."""

import asyncio
import gzip

import pytest

from tests.fakes import openai_wire as wire
from tests.fakes.vendor import Vendor, WaitFor
from tests.integration.gateway import Gateway, gateway, provider, settings
from tests.integration.raw_caller import request

BOTH_LOOPS = True

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
STREAM = b'{"model":"gpt-4o-mini","stream":true}'
WITH_USAGE = b'{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true}}'
ODD = b'{ "n" : 1.0E+02,"z":[ ],\n"usage" : {"prompt_tokens":1} ,"\\u00e9":"\xe2\x82\xac" }\n'


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
async def test_a_body_comes_byte_for_byte_however_it_is_framed(
    proxy: Gateway, vendor: Vendor, framing: str, path: str
) -> None:
    pieces = [ODD[:7], ODD[7:20], ODD[20:]]
    vendor.say(headers=[("Content-Type", "application/json")], chunks=pieces, framing=framing)
    caller = await proxy.call()
    answer = await caller.ask("POST", path, body=SMALL)
    assert (answer.status, answer.body) == (200, ODD)


@pytest.mark.parametrize("status", [200, 201, 202, 206, 299])
async def test_a_good_status_passes(proxy: Gateway, vendor: Vendor, status: int) -> None:
    vendor.say(status, body=ODD)
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=SMALL)).status == status


@pytest.mark.parametrize("status", [204, 301, 302, 304, 307])
async def test_a_passthrough_status_passes_whatever_it_is(
    proxy: Gateway, vendor: Vendor, status: int
) -> None:
    vendor.say(status, headers=[("Location", "/elsewhere")])
    caller = await proxy.call()
    answer = await caller.ask("GET", "/v1/files")
    assert answer.status == status
    assert answer.header("location") == "/elsewhere"
    assert (await caller.ask("GET", "/healthz")).status == 200  # The framing was understood.


async def test_end_to_end_fields_pass_and_hop_by_hop_fields_do_not(
    proxy: Gateway, vendor: Vendor
) -> None:
    kept = [
        ("Content-Type", "application/json"),
        ("OpenAI-Processing-MS", "12"),
        ("x-ratelimit-remaining-requests", "9"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Date", "Tue, 01 Jul 2025 00:00:00 GMT"),
        ("X-Latin", "caf\xe9"),
    ]
    dropped = [
        ("Connection", "keep-alive, X-Named"),
        ("X-Named", "mine"),
        ("Keep-Alive", "timeout=5"),
        ("Trailer", "x-sum"),
        ("Upgrade", "h2c"),
        ("Proxy-Authenticate", "Basic"),
        ("Set-Cookie", "__cf_bm=1"),
        ("Alt-Svc", 'h3=":443"'),
        ("Strict-Transport-Security", "max-age=1"),
        ("X-LLM-Proxy-Provider", "somebody else"),
    ]
    vendor.say(headers=[*kept, *dropped, ("X-Request-Id", "req_vendor")], body=ODD)
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    came = [(n.decode(), v.decode("latin-1")) for n, v in answer.headers]
    assert came[: len(kept)] == kept
    assert not {n.lower() for n, _ in came} & {n.lower() for n, _ in dropped[:-1]}
    assert answer.header("x-llm-proxy-provider") == "vendor"
    assert answer.header("x-llm-proxy-upstream-request-id") == "req_vendor"
    own = answer.header("x-request-id")
    assert own is not None and own.startswith("req_") and own != "req_vendor"


async def test_every_answer_has_an_id_of_its_own(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    answers = [
        await caller.ask("POST", CHAT, body=SMALL),
        await caller.ask("POST", CHAT, body=STREAM),
        await caller.ask("POST", CHAT, body=b"nonsense"),
        await caller.ask("GET", "/v1/models"),
        await caller.ask("GET", "/nowhere"),
        await caller.ask("GET", "/healthz"),
    ]
    ids = {answer.header("x-request-id") for answer in answers}
    assert len(ids) == len(answers) and None not in ids


async def test_head_gets_the_length_and_no_body(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say(headers=[("content-type", "text/plain")], body=b"x" * 12345)
    caller = await proxy.call()
    answer = await caller.ask("HEAD", "/v1/files/f/content")
    assert answer.status == 200
    assert answer.header("content-length") == "12345"
    assert (await caller.ask("GET", "/healthz")).status == 200
    assert vendor.requests[0].method == "HEAD"


@pytest.mark.parametrize("keep", [False, True])
async def test_an_http_1_0_caller_gets_no_chunks(
    proxy: Gateway, vendor: Vendor, keep: bool
) -> None:
    fields = [("Connection", "keep-alive")] if keep else []
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, headers=fields, body=WITH_USAGE, version="1.0")
    assert answer.framing == "close"
    assert answer.body == b"".join(wire.chat_events(usage=True, model="gpt-4o-mini"))
    another = await proxy.call()
    answer = await another.ask("POST", CHAT, headers=fields, body=SMALL, version="1.0")
    assert answer.framing == "length" and answer.status == 200
    assert answer.all("connection") == (["keep-alive"] if keep else ["close"])
    if keep:
        again = await another.ask("POST", CHAT, headers=fields, body=SMALL, version="1.0")
        assert again.status == 200
    else:
        assert await another.rest() == b""


async def test_a_gzip_answer_nobody_asked_for_is_undone_where_it_is_read(
    proxy: Gateway, vendor: Vendor
) -> None:
    body = wire.chat_body()
    fields = [("content-type", "application/json"), ("Content-Encoding", "gzip")]
    vendor.say(headers=fields, body=gzip.compress(body))
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, headers=[("accept-encoding", "gzip, br")], body=SMALL)
    assert vendor.requests[0].all("accept-encoding") == ["identity"]
    assert answer.body == body
    assert answer.all("content-encoding") == []


async def test_a_gzip_stream_nobody_asked_for_is_undone(proxy: Gateway, vendor: Vendor) -> None:
    events = wire.chat_events(usage=True)
    packed = gzip.compress(b"".join(events))
    fields = [*wire.EVENT_STREAM, ("content-encoding", "gzip")]
    vendor.say(headers=fields, chunks=[packed[at : at + 11] for at in range(0, len(packed), 11)])
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=STREAM)
    assert answer.body == b"".join([*events[:-2], events[-1]])  # Without the usage event.
    assert answer.all("content-encoding") == []


async def test_a_gzip_answer_of_a_passthrough_stays_gzip(proxy: Gateway, vendor: Vendor) -> None:
    packed = gzip.compress(b"hello")
    vendor.say(headers=[("content-encoding", "gzip")], body=packed)
    caller = await proxy.call()
    answer = await caller.ask("GET", "/v1/files", headers=[("accept-encoding", "gzip")])
    assert vendor.requests[0].all("accept-encoding") == ["gzip"]
    assert (answer.body, answer.header("content-encoding")) == (packed, "gzip")


async def test_informational_answers_are_passed_over(proxy: Gateway, vendor: Vendor) -> None:
    vendor.say(body=ODD, informational=[100, 102, 103])
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=SMALL)
    assert (answer.status, answer.body) == (200, ODD)
    assert answer.all("link") == []


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
async def test_a_stream_passes_unchanged_for_callers_that_want_usage(
    proxy: Gateway, vendor: Vendor, line_end: bytes
) -> None:
    events = [e.replace(b"\n", line_end) for e in wire.chat_events(usage=True)]
    comment = b": keep-alive" + line_end * 2
    vendor.say(headers=wire.EVENT_STREAM, chunks=[events[0], comment, *events[1:]])
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, body=WITH_USAGE)
    assert answer.body == events[0] + comment + b"".join(events[1:])
    assert answer.framing == "chunked"


async def test_the_usage_event_is_hidden_from_who_did_not_ask(
    proxy: Gateway, vendor: Vendor
) -> None:
    events = wire.chat_events(usage=True)
    whole = b"".join(events)
    vendor.say(headers=wire.EVENT_STREAM, chunks=[whole])
    vendor.say(headers=wire.EVENT_STREAM, chunks=[whole[i : i + 1] for i in range(len(whole))])
    caller = await proxy.call()
    for _ in range(2):
        answer = await caller.ask("POST", CHAT, body=STREAM)
        assert answer.body == b"".join([*events[:-2], events[-1]])


async def test_an_event_is_forwarded_while_the_vendor_waits(proxy: Gateway, vendor: Vendor) -> None:
    go = [asyncio.Event() for _ in range(3)]
    events = wire.chat_events("a", "b", usage=True)
    steps: list[bytes | WaitFor] = []
    for event, gate in zip(events[:3], go, strict=True):
        steps += [event, WaitFor(gate)]
    vendor.say(headers=wire.EVENT_STREAM, chunks=[*steps, *events[3:]])
    caller = await proxy.call()
    await caller.send(request("POST", CHAT, body=WITH_USAGE))
    async with asyncio.timeout(5):
        assert (await caller.head()).status == 200
        for event, gate in zip(events[:3], go, strict=True):
            assert await caller.chunk() == event  # The vendor says no more until we have it.
            gate.set()
        rest = [await caller.chunk() for _ in range(1)]
        while part := await caller.chunk():
            rest.append(part)
    assert b"".join(rest) == b"".join(events[3:])


async def test_a_binary_answer_is_forwarded_as_it_comes(proxy: Gateway, vendor: Vendor) -> None:
    gate = asyncio.Event()
    sound = bytes(range(256)) * 8
    fields = [("content-type", "audio/mpeg")]
    vendor.say(headers=fields, chunks=[sound[:100], WaitFor(gate), sound[100:]])
    caller = await proxy.call()
    await caller.send(request("POST", "/v1/audio/speech", body=SMALL))
    async with asyncio.timeout(5):
        answer = await caller.head()
        assert answer.header("content-type") == "audio/mpeg"
        assert await caller.chunk() == sound[:100]
        gate.set()
        rest = b""
        while part := await caller.chunk():
            rest += part
    assert rest == sound[100:]


async def test_a_body_that_says_its_length_keeps_it(proxy: Gateway, vendor: Vendor) -> None:
    sound = bytes(range(256)) * 4096
    vendor.say(headers=[("content-type", "audio/mpeg")], body=sound)
    caller = await proxy.call()
    answer = await caller.ask("POST", "/v1/audio/speech", body=SMALL)
    assert (answer.framing, answer.body) == ("length", sound)


async def test_a_large_json_answer_is_whole(proxy: Gateway, vendor: Vendor) -> None:
    body = b'{"data":"' + b"x" * 5_000_000 + b'"}'
    vendor.say(body=body)
    caller = await proxy.call()
    assert (await caller.ask("POST", "/v1/images/generations", body=SMALL)).body == body


async def test_the_provider_of_a_request_without_a_model_can_be_chosen(vendor: Vendor) -> None:
    async with Vendor() as other:
        providers = {"vendor": provider(vendor.url), "other": provider(other.url)}
        config = settings(vendor, providers=providers, models={})
        async with gateway(config) as proxy:
            caller = await proxy.call()
            other.say(body=b"{}")
            fields = [("X-LLM-Proxy-Provider", "other")]
            answer = await caller.ask("GET", "/v1/files", headers=fields)
            assert answer.header("x-llm-proxy-provider") == "other"
            await caller.ask("GET", "/v1/files")
            answer = await caller.ask(
                "GET", "/v1/files", headers=[("X-LLM-Proxy-Provider", "nobody")]
            )
            assert (answer.status, answer.error["code"]) == (400, "provider_not_found")
        assert (vendor.calls, other.calls) == (1, 1)
