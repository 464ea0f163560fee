"""What reaches the vendor: the caller's bytes and fields, and nothing that should stay here."""

import gzip
import zlib

import pytest

from tests.fakes.vendor import Vendor
from tests.integration.gateway import ALL, RENAMED, VENDOR_KEY, Gateway
from tests.integration.raw_caller import request

BOTH_LOOPS = True
BOTH_SERVERS = True

ODD = (
    b'{\n\t"zeta" : 1.0E+02 , "model"\t:  "%b","n":1,"big":123456789012345678901234567890,'
    b'"tiny":-0.0,"messages":[ {"content":"\\u00e9\\/ \xe2\x82\xac","model":"inner"} ]'
    b',"unknown_field":{"b":[1,2,{}],"a":null},"temperature":0.10  }\r\n'
)
USAGE = b',"stream_options":{"include_usage":true}'
CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'


async def test_a_raw_body_arrives_byte_for_byte(proxy: Gateway, vendor: Vendor) -> None:
    body = ODD % b"gpt-4o-mini"
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=body)).status == 200
    assert vendor.requests[0].body == body


async def test_a_renamed_model_changes_its_own_bytes_only(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=ODD % b"renamed")).status == 200
    assert vendor.requests[0].body == ODD % RENAMED.encode()


async def test_what_a_wildcard_stood_for_is_the_vendor_s_model(
    proxy: Gateway, vendor: Vendor
) -> None:
    caller = await proxy.call()
    await caller.ask("POST", CHAT, body=ODD % b"team-llama/7b")
    assert vendor.requests[0].body == ODD % b"llama/7b"


@pytest.mark.parametrize("end", [b"}", b" }\n", b',"a":[]}'])
async def test_usage_is_asked_for_at_the_end_of_a_stream_s_body(
    proxy: Gateway, vendor: Vendor, end: bytes
) -> None:
    start = b'{"stream" : true, "model":"renamed","x":1e5'
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=start + end)).status == 200
    brace = end.index(b"}")
    wanted = start.replace(b"renamed", RENAMED.encode()) + end[:brace] + USAGE + end[brace:]
    assert vendor.requests[0].body == wanted


async def test_other_stream_options_are_kept(proxy: Gateway, vendor: Vendor) -> None:
    body = b'{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_obfuscation":false}}'
    caller = await proxy.call()
    await caller.ask("POST", CHAT, body=body)
    options = vendor.requests[0].json()["stream_options"]
    assert options == {"include_obfuscation": False, "include_usage": True}


async def test_a_body_that_asks_for_usage_itself_stays_as_it_is(
    proxy: Gateway, vendor: Vendor
) -> None:
    body = b'{"model":"gpt-4o-mini","stream":true, "stream_options" : {"include_usage" : true} }'
    caller = await proxy.call()
    await caller.ask("POST", CHAT, body=body)
    assert vendor.requests[0].body == body


async def test_end_to_end_fields_pass_and_hop_by_hop_fields_do_not(
    proxy: Gateway, vendor: Vendor
) -> None:
    kept = [
        ("X-Custom", "one"),
        ("x-custom", "two, three"),
        ("User-Agent", "Judge/1.0"),
        ("OpenAI-Beta", "assistants=v2"),
        ("Idempotency-Key", "k-1"),
        ("X-Latin", "caf\xe9"),
        ("X-Empty", ""),
        ("Content-Type", "application/json; charset=utf-8"),
    ]
    dropped = [
        ("Connection", "keep-alive, X-Named"),
        ("X-Named", "mine"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("TE", "trailers"),
        ("Trailer", "x-sum"),
        ("Cookie", "session=secret"),
        ("OpenAI-Organization", "org-of-the-caller"),
        ("OpenAI-Project", "proj-of-the-caller"),
        ("X-LLM-Proxy-Provider", "vendor"),
        ("X-Api-Key", "another"),
        ("Api-Key", "another"),
    ]
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, headers=[*kept, *dropped], body=SMALL)).status == 200
    arrived = [(n.decode(), v.decode("latin-1")) for n, v in vendor.requests[0].headers]
    assert arrived == [
        ("Host", f"127.0.0.1:{vendor.port}"),
        *kept,
        ("accept-encoding", "identity"),
        ("authorization", f"Bearer {VENDOR_KEY}"),
        ("Content-Length", str(len(SMALL))),
    ]


@pytest.mark.parametrize(
    "field",
    [
        ("authorization", f"Bearer {ALL}"),
        ("Authorization", f"bearer  {ALL}"),
        ("x-api-key", ALL),
        ("API-KEY", ALL),
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
async def test_a_key_may_come_in_three_ways_and_never_leaves(
    proxy: Gateway, vendor: Vendor, field: tuple[str, str], path: str
) -> None:
    caller = await proxy.call()
    await caller.ask("POST", path, headers=[field], body=SMALL, key=False)
    asked = vendor.requests[0]
    assert asked.all("authorization") == [f"Bearer {VENDOR_KEY}"]
    assert not any(ALL.encode() in value for _, value in asked.headers)


VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("parent", "passed"),
    [
        (VALID, True),
        ("cc" + VALID[2:] + "-what-the-future-brings", True),
        ("ff" + VALID[2:], False),
        (VALID[:-1], False),
        (VALID.upper(), False),
        ("00-" + "0" * 32 + VALID[35:], False),
        (VALID[:36] + "0" * 16 + VALID[52:], False),
        ("nonsense", False),
    ],
)
async def test_a_trace_context_is_passed_on_only_when_it_is_valid(
    proxy: Gateway, vendor: Vendor, parent: str, passed: bool
) -> None:
    fields = [("traceparent", parent), ("tracestate", "a=1,b=2")]
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, headers=fields, body=SMALL)).status == 200
    asked = vendor.requests[0]
    assert asked.all("traceparent") == ([parent] if passed else [])
    assert asked.all("tracestate") == (["a=1,b=2"] if passed else [])


async def test_path_query_and_method_of_a_passthrough_pass_unchanged(
    proxy: Gateway, vendor: Vendor
) -> None:
    caller = await proxy.call()
    targets = [
        ("GET", "/v1/files/file%2Fa%20b?limit=2&after=%C3%A9&x=a+b&empty=&flag"),
        ("DELETE", "/v1/files/file-1?purge=1"),
        ("PUT", "/v1/anything/at:all;v=1?q=/../x"),
        ("PATCH", "/v1/vector_stores/vs_1"),
        ("OPTIONS", "/v1/files"),
        ("POST", "/v1/chat/completions/chat-1"),
        ("GET", "/v1/chat/completions?model=gpt-4o"),
    ]
    for method, path in targets:
        await caller.ask(method, path)
    assert [(asked.method, asked.target) for asked in vendor.requests] == targets
    assert vendor.connections == 1


@pytest.mark.parametrize("path", ["/chat/completions", "/files?limit=1", "/responses/r-1/cancel"])
async def test_paths_without_v1_are_the_same_paths(
    proxy: Gateway, vendor: Vendor, path: str
) -> None:
    caller = await proxy.call()
    await caller.ask("POST", path, body=SMALL)
    assert vendor.requests[0].target == f"/v1{path}"


async def test_the_query_of_an_operation_with_a_model_passes(
    proxy: Gateway, vendor: Vendor
) -> None:
    caller = await proxy.call()
    await caller.ask("POST", f"{CHAT}?api-version=2024-10-21&x=%2F", body=SMALL)
    assert vendor.requests[0].target == f"{CHAT}?api-version=2024-10-21&x=%2F"


async def test_an_absolute_target_is_read_as_its_path(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    answer = await caller.ask("GET", "http://gateway.test/v1/files?a=%2F&b")
    assert answer.status == 404  # The vendor's own words for what it does not know.
    assert vendor.requests[0].target == "/v1/files?a=%2F&b"


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
async def test_a_chunked_body_arrives_whole(proxy: Gateway, vendor: Vendor, path: str) -> None:
    body = b'{"model":"gpt-4o-mini","pad":"' + b"x" * 100_000 + b'"}'
    pieces = [body[at : at + 7777] for at in range(0, len(body), 7777)]
    chunked = b"".join(b"%X;ext=1\r\n%b\r\n" % (len(p), p) for p in pieces)
    caller = await proxy.call()
    head = request("POST", path, headers=[("Transfer-Encoding", "chunked")])
    await caller.send(head + chunked + b"0\r\nx-trailer: 1\r\n\r\n")
    await caller.answer()
    asked = vendor.requests[0]
    assert asked.body == body
    assert asked.all("transfer-encoding") == (["chunked"] if path == "/v1/files" else [])
    assert "x-trailer" not in [name.decode().lower() for name, _ in asked.headers]


async def test_an_upload_is_sent_on_while_it_still_comes(proxy: Gateway, vendor: Vendor) -> None:
    caller = await proxy.call()
    await caller.send(request("POST", "/v1/files", headers=[("content-length", "10")]) + b"01234")
    await vendor.accepted.wait()
    assert vendor.calls == 0
    await caller.send(b"56789")
    await caller.answer()
    assert vendor.requests[0].body == b"0123456789"


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
async def test_expect_100_continue_is_answered_before_the_body(
    proxy: Gateway, vendor: Vendor, path: str
) -> None:
    caller = await proxy.call()
    fields = [("Expect", "100-continue"), ("content-length", str(len(SMALL)))]
    await caller.send(request("POST", path, headers=fields))
    assert (await caller.head()).status == 100
    await caller.send(SMALL)
    await caller.answer()
    assert vendor.requests[0].body == SMALL
    assert vendor.requests[0].all("expect") == []


async def test_no_100_continue_for_a_request_that_is_refused(
    proxy: Gateway, vendor: Vendor
) -> None:
    caller = await proxy.call()
    fields = [("Expect", "100-continue"), ("content-length", "100")]
    await caller.send(request("POST", CHAT, headers=fields, key=False))
    assert (await caller.answer()).status == 401
    assert vendor.calls == 0


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_json_body_is_read_and_leaves_plain(
    proxy: Gateway, vendor: Vendor, coding: str
) -> None:
    body = ODD % b"renamed"
    packed = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    caller = await proxy.call()
    answer = await caller.ask("POST", CHAT, headers=[("Content-Encoding", coding)], body=packed)
    assert answer.status == 200
    assert vendor.requests[0].body == ODD % RENAMED.encode()
    assert vendor.requests[0].all("content-encoding") == []


async def test_a_compressed_passthrough_body_stays_compressed(
    proxy: Gateway, vendor: Vendor
) -> None:
    packed = gzip.compress(b"hello")
    caller = await proxy.call()
    await caller.ask("POST", "/v1/files", headers=[("Content-Encoding", "gzip")], body=packed)
    assert vendor.requests[0].body == packed
    assert vendor.requests[0].all("content-encoding") == ["gzip"]
