"""The body step: what is read, what is found in it, what is refused."""

import gzip

import pytest

from proxy.base.errors import BadRequest, CallerError, TooLarge, UnsupportedMedia
from proxy.core.steps import Later, take
from proxy.core.upload import FormUpload, StreamUpload
from proxy.middleware.body import body
from proxy.wire.body import Body
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, runtime

FORM = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
MULTIPART = ("Content-Type", "Multipart/Form-Data; boundary=b")
RUN = runtime({}, max_body=1000)


async def test_json() -> None:
    x = exchange(RUN, FakeIncoming([b'{"model":"m",', b'"stream":true}']))
    assert await take(body, x) is None
    assert isinstance(x.body, Body)
    assert (x.model, x.stream, x.usage_asked) == ("m", True, False)


async def test_what_came_with_the_head_is_not_waited_for() -> None:
    x = exchange(RUN, FakeIncoming(b'{"model":"m","n":2,"max_tokens":7}', here=True))
    assert body(x) is None
    assert isinstance(x.body, Body)
    assert (x.model, x.stream, x.body.asked) == ("m", False, (7, 2))
    assert x.arrived == x.received
    late = exchange(RUN, FakeIncoming(b'{"model":"m"}'))
    assert isinstance(body(late), Later) and late.body is None
    assert await take(body, late) is None
    assert late.model == "m" and late.arrived > late.received


async def test_what_is_here_and_too_large_is_refused_as_ever() -> None:
    with pytest.raises(TooLarge):
        await take(body, exchange(RUN, FakeIncoming(b'{"x":"' + b"x" * 1000, here=True)))


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (b"null", False),
        (b"{}", False),
        (b'{"include_usage":false}', False),
        (b'{"include_usage":null}', False),
        (b'{"include_usage":true}', True),
        (b'{"include_usage": true , "x":1}', True),
    ],
)
async def test_who_asked_for_usage(options: bytes, asked: bool) -> None:
    raw = b'{"model":"m","stream":true,"stream_options":' + options + b"}"
    x = exchange(RUN, FakeIncoming(raw))
    await take(body, x)
    assert x.usage_asked is asked
    x = exchange(RUN, FakeIncoming(raw, "/responses"))
    await take(body, x)
    assert x.usage_asked is False


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "identity", "deflate"])
async def test_codings(coding: str) -> None:
    raw = b'{"model":"m"}'
    sent = raw if coding == "identity" else gzip.compress(raw)
    x = exchange(RUN, FakeIncoming(sent, headers=[("content-encoding", coding)]))
    await take(body, x)
    assert isinstance(x.body, Body)
    assert x.body.raw == raw


async def test_a_form() -> None:
    x = exchange(RUN, FakeIncoming([FORM[:40], FORM[40:]], "/audio/transcriptions", [MULTIPART]))
    await take(body, x)
    assert isinstance(x.body, FormUpload)
    assert x.model == "m"
    x.settle()
    with pytest.raises(ValueError, match="closed"):
        _ = [piece async for piece in x.body]


@pytest.mark.parametrize(("length", "kept"), [(0, False), (2, True), (None, True)])
async def test_what_has_no_model_is_not_read(length: int | None, kept: bool) -> None:
    incoming = FakeIncoming(b"{}", "/files", length=length)
    x = exchange(RUN, incoming)
    await take(body, x)
    assert isinstance(x.body, StreamUpload) is kept
    assert x.model is None


REFUSED: dict[str, tuple[FakeIncoming, type[CallerError]]] = {
    "not JSON": (FakeIncoming(b"{"), BadRequest),
    "no body": (FakeIncoming(b""), BadRequest),
    "model of another type": (FakeIncoming(b'{"model":1}'), BadRequest),
    "stream of another type": (FakeIncoming(b'{"stream":"yes"}'), BadRequest),
    "options of another type": (FakeIncoming(b'{"stream":true,"stream_options":1}'), BadRequest),
    "too large": (FakeIncoming(b" " * 1001), TooLarge),
    "too large inside": (
        FakeIncoming(gzip.compress(b" " * 1001), headers=[("content-encoding", "gzip")]),
        TooLarge,
    ),
    "unknown coding": (FakeIncoming(b"{}", headers=[("content-encoding", "br")]), UnsupportedMedia),
    "form without boundary": (
        FakeIncoming(FORM, headers=[("content-type", "multipart/form-data")]),
        BadRequest,
    ),
    "form in a coding": (
        FakeIncoming(gzip.compress(FORM), headers=[MULTIPART, ("content-encoding", "gzip")]),
        UnsupportedMedia,
    ),
    "form of two kinds": (
        FakeIncoming(
            FORM, headers=[MULTIPART, ("content-TYPE", "multipart/form-data; boundary=c")]
        ),
        UnsupportedMedia,
    ),
}


@pytest.mark.parametrize(("incoming", "error"), REFUSED.values(), ids=REFUSED)
async def test_refused(incoming: FakeIncoming, error: type[CallerError]) -> None:
    with pytest.raises(error):
        await take(body, exchange(RUN, incoming))
