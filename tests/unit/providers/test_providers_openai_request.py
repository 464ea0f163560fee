"""What leaves for an OpenAI-compatible vendor: the caller's request, and the operator's key."""

import pytest

from proxy.base.jsonio import loads
from proxy.core.admission import admit
from proxy.core.exchange import Exchange
from proxy.core.outgoing import Outgoing
from proxy.core.steps import take
from proxy.wire.body import Body
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import simple
from tests.fakes.wire import FakeTransport

RAW = b'{ "model":"m" ,"seed":1.50, "messages":[]}'


async def admitted(incoming: FakeIncoming, upstream: str = "m") -> Exchange:
    x = simple(FakeTransport(), incoming, "m", upstream)
    assert await take(admit, x) is None
    return x


def outgoing(x: Exchange) -> Outgoing:
    target = x.plan[0]
    return target.provider.adapter(x.operation).request(x, target)


async def sent(incoming: FakeIncoming, upstream: str = "m") -> Outgoing:
    return outgoing(await admitted(incoming, upstream))


async def test_an_unchanged_body_is_the_very_object() -> None:
    raw = bytes(RAW)
    assert (await sent(FakeIncoming(raw))).body == raw
    x = await admitted(FakeIncoming(raw))
    assert isinstance(x.body, Body)
    came = x.body.raw
    assert outgoing(x).body is came


async def test_a_renamed_model_changes_nothing_else() -> None:
    assert (await sent(FakeIncoming(RAW), "gpt-ä")).body == RAW.replace(b'"m"', '"gpt-ä"'.encode())


@pytest.mark.parametrize(
    ("raw", "options"),
    [
        (b'{"model":"m","stream":true}', {"include_usage": True}),
        (b'{"model":"m","stream":true,"stream_options":null}', {"include_usage": True}),
        (b'{"model":"m","stream":true,"stream_options":{}}', {"include_usage": True}),
        (
            b'{"model":"m","stream":true,"stream_options":{"x":1,"include_usage":false}}',
            {"x": 1, "include_usage": True},
        ),
    ],
)
async def test_usage_is_asked_for_where_the_caller_did_not(
    raw: bytes, options: dict[str, object]
) -> None:
    x = await admitted(FakeIncoming(raw))
    body = outgoing(x).body
    assert isinstance(body, bytes)
    assert loads(body) == {**loads(raw), "stream_options": options}
    assert x.plan[0].provider.adapter(x.operation).decoder(x) is not None
    assert outgoing(x).body == body  # Asked again for a second target: no further change.


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"m","stream":true,"stream_options":{ "include_usage" : true }}',
        b'{"model":"m","stream":false,"stream_options":{"include_usage":false}}',
        b'{"model":"m"}',
    ],
)
async def test_where_nothing_is_to_be_asked_nothing_changes(raw: bytes) -> None:
    x = await admitted(FakeIncoming(raw))
    assert outgoing(x).body == raw
    assert x.plan[0].provider.adapter(x.operation).decoder(x) is None


@pytest.mark.parametrize("path", ["/responses", "/audio/speech", "/images/generations"])
async def test_other_streams_are_not_asked_for_usage(path: str) -> None:
    raw = b'{"model":"m","stream":true}'
    assert (await sent(FakeIncoming(raw, path))).body == raw


async def test_path_query_method() -> None:
    out = await sent(FakeIncoming(RAW, "/v1/chat/completions", query="api-version=1&a=%20"))
    assert (out.method, out.target) == ("POST", "/v1/chat/completions?api-version=1&a=%20")
    out = await sent(FakeIncoming(path="/files/a%2Fb", method="DELETE"))
    assert (out.method, out.target, out.body) == ("DELETE", "/v1/files/a%2Fb", b"")


async def test_credentials_are_the_operators() -> None:
    headers = [
        ("Authorization", "Bearer sk-caller"),
        ("api-key", "sk-caller"),
        ("X-Account", "theirs"),
        ("OpenAI-Beta", "x"),
        ("Accept-Encoding", "br"),
        ("Content-Type", "application/json"),
        ("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"),
        ("X-LLM-Proxy-Tag", "t"),
    ]
    out = await sent(FakeIncoming(RAW, headers=headers))
    assert list(out.headers) == [
        (b"OpenAI-Beta", b"x"),
        (b"Content-Type", b"application/json"),
        (b"accept-encoding", b"identity"),
        (b"traceparent", headers[6][1].encode()),
        (b"X-Account", b"ours"),
    ]  # And the key, which core/send.py takes from the ring.


async def test_what_passes_through_may_be_compressed() -> None:
    out = await sent(
        FakeIncoming(b"{}", "/files", [("Accept-Encoding", "br"), ("Content-Encoding", "gzip")])
    )
    assert out.headers[0] == (b"Accept-Encoding", b"br")
    assert out.headers[1] == (b"Content-Encoding", b"gzip")
    assert not isinstance(out.body, bytes)
    assert b"".join([piece async for piece in out.body]) == b"{}"


async def test_a_body_that_came_compressed_leaves_plain() -> None:
    import gzip

    headers = [("Content-Encoding", "gzip"), ("content-type", "application/json")]
    out = await sent(FakeIncoming(gzip.compress(RAW), headers=headers))
    assert out.body == RAW
    assert b"Content-Encoding" not in dict(out.headers)


async def test_a_form_gets_the_targets_model() -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
    headers = [("content-type", "multipart/form-data; boundary=b")]
    x = await admitted(FakeIncoming(form, "/audio/transcriptions", headers), "whisper")
    body = outgoing(x).body
    assert not isinstance(body, bytes)
    assert body.length == len(form) + 6
    assert b"".join([piece async for piece in body]) == form.replace(
        b"\r\nm\r\n", b"\r\nwhisper\r\n"
    )
    x.settle()
