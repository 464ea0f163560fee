"""Every way an exchange can end: settled once, nothing left open, never a false [DONE]."""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import replace

import pytest

from proxy.base.errors import (
    BadRequest,
    Cut,
    Malformed,
    NotFound,
    ProxyError,
    Refused,
    Reset,
    TimedOut,
    UpstreamError,
)
from proxy.base.errors import Unreachable as Away
from proxy.core.dispatch import Tries
from proxy.core.exchange import Exchange
from proxy.core.steps import Later
from proxy.core.upload import FormUpload
from tests.fakes.caller import FakeIncoming
from tests.fakes.wire import EVENTS, JSON, FakeAnswer
from tests.unit.core.outcomes import CHAT, CHUNK, DONE, LAST, STREAM, USAGE, Case

OK = b'{"id":"x","usage":{"total_tokens":3}}'


def streamed(*pieces: bytes | Exception) -> Case:
    return Case([[FakeAnswer(pieces, EVENTS)]], FakeIncoming(STREAM))


def asked(body: bytes) -> Case:
    return Case([[]], FakeIncoming(body))


def answered(answer: FakeAnswer) -> Case:
    return Case([[answer]])


WELL: dict[str, tuple[Callable[[], Case], bytes]] = {
    "whole, here": (lambda: answered(FakeAnswer([OK], here=True)), OK),
    "whole, later": (lambda: answered(FakeAnswer([OK[:5], OK[5:]])), OK),
    "stream": (lambda: streamed(CHUNK, LAST, USAGE, DONE), CHUNK + LAST + DONE),
    "stream in one": (lambda: streamed(CHUNK + LAST + USAGE + DONE), CHUNK + LAST + DONE),
    "stream without done": (lambda: streamed(CHUNK, LAST, USAGE), CHUNK + LAST + DONE),
    "last blank line missing": (lambda: streamed(CHUNK, LAST, DONE[:-2]), CHUNK + LAST + DONE),
    "second target": (lambda: Case([[Away("a")], [FakeAnswer([OK])]]), OK),
}


@pytest.mark.parametrize(("make", "body"), WELL.values(), ids=WELL)
async def test_well(make: Callable[[], Case], body: bytes) -> None:
    case = make()
    await case.run()
    case.check()
    assert case.x.finished
    assert case.x.error is None
    assert case.out.body == body
    assert case.out.status == 200


BADLY: dict[str, tuple[Callable[[], Case], type[ProxyError]]] = {
    "bad body": (lambda: asked(b"{"), BadRequest),
    "unknown model": (lambda: asked(b'{"model":"z"}'), NotFound),
    "reset": (lambda: Case([[Reset("r")]]), Reset),
    "unreachable, all": (lambda: Case([[Away("a")], [Away("b")], [Away("c")]]), Away),
    "unreachable, then reset": (lambda: Case([[Away("a")], [Reset("b")]]), Reset),
    "error status": (lambda: answered(FakeAnswer([b"{}"], JSON, 429)), Refused),
    "error status, body cut": (lambda: answered(FakeAnswer([Cut("c")], JSON, 429)), Refused),
    "no first byte": (lambda: streamed(TimedOut("t", phase="first_token")), TimedOut),
    "JSON cut": (lambda: answered(FakeAnswer([OK[:9], Cut("c")])), Cut),
    "redirect": (lambda: answered(FakeAnswer([], JSON, 302)), Malformed),
    "web page": (
        lambda: answered(FakeAnswer([b"<"], ((b"content-type", b"text/html"),))),
        Malformed,
    ),
}


@pytest.mark.parametrize(("make", "error"), BADLY.values(), ids=BADLY)
async def test_badly_before_anything_was_sent(
    make: Callable[[], Case], error: type[ProxyError]
) -> None:
    case = make()
    with pytest.raises(error):
        await case.run()
    case.check()
    assert isinstance(case.x.error, error)
    assert case.x.refusal is case.x.error
    assert case.out.did == []
    assert not case.x.finished


BROKEN: dict[str, tuple[Callable[[], Case], type[UpstreamError], bytes]] = {
    "cut": (lambda: streamed(CHUNK, Cut("c")), Cut, CHUNK),
    "cut in an event": (lambda: streamed(CHUNK + CHUNK[:9], Cut("c")), Cut, CHUNK),
    "cut in the first event": (lambda: streamed(CHUNK[:9], Cut("c")), Cut, b""),
    "idle": (lambda: streamed(CHUNK, TimedOut("t", phase="idle")), TimedOut, CHUNK),
    "no end": (lambda: streamed(CHUNK, CHUNK), Cut, CHUNK + CHUNK),
    "no end, half an event": (lambda: streamed(CHUNK, CHUNK[:-3]), Cut, CHUNK),
    "empty stream": (streamed, Cut, b""),
}


async def test_a_vendor_s_own_error_passes_as_it_came_and_is_no_good_end() -> None:
    told = b'data: {"error":{"message":"m","type":"overloaded_error"}}\n\n'
    case = streamed(CHUNK, told)
    await case.run()
    case.check()
    assert case.out.body == CHUNK + told
    assert not case.x.finished and isinstance(case.x.error, Refused)
    assert case.x.attempts[-1].reason == "overloaded"


@pytest.mark.parametrize(("make", "error", "body"), BROKEN.values(), ids=BROKEN)
async def test_a_stream_that_breaks_off_ends_with_an_error_event(
    make: Callable[[], Case], error: type[UpstreamError], body: bytes
) -> None:
    case = make()
    await case.run()
    case.check()
    assert isinstance(case.x.error, error)
    assert case.out.body.startswith(body + b'event: error\ndata: {"error":')
    assert case.out.did == ["start", "end"]
    assert case.x.attempts[-1].error == error.kind


@pytest.mark.parametrize("trouble", [Reset("r"), Cut("c"), Malformed("m")])
async def test_what_broke_before_its_content_goes_to_the_next(trouble: UpstreamError) -> None:
    case = Case([[trouble], [FakeAnswer([OK])]])
    await case.run()
    assert (case.out.body, len(case.x.attempts)) == (OK, 2)
    assert [len(transport.sent) for transport in case.transports] == [1, 1]


async def test_an_upload_that_has_begun_is_never_sent_again() -> None:
    case = Case([[Reset("r")], [FakeAnswer([OK])]], FakeIncoming([FORM], *UPLOAD))

    def used_up(x: Exchange) -> None:
        assert isinstance(x.body, FormUpload)
        x.body.started = True

    case.x.runtime = replace(case.x.runtime, middlewares=(*case.x.runtime.middlewares, used_up))
    with pytest.raises(Reset):
        await case.run()
    assert [len(transport.sent) for transport in case.transports] == [1, 0]


async def test_every_attempt_is_noted() -> None:
    case = Case([[Away("a")], [FakeAnswer([OK])]])
    await case.run()
    seen = [(tried.provider, tried.status, tried.error) for tried in case.x.attempts]
    assert seen == [("p0", 0, "connect"), ("p1", 200, None)]
    assert case.x.attempts[1].first_byte >= case.x.attempts[1].head > case.x.received


async def test_a_caller_that_is_gone_at_the_end_is_seen() -> None:
    case = Case([[FakeAnswer([OK], here=True)]], gone=ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        await case.run()
    assert case.ended == ["second", "first"]
    assert isinstance(case.x.error, ConnectionResetError)
    assert case.x.refusal is None


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nRIFF\r\n--b--\r\n'
)
UPLOAD = ("/audio/transcriptions", [("content-type", "multipart/form-data; boundary=b")])
CANCELLED: dict[str, Callable[[], Case]] = {
    "whole": lambda: answered(FakeAnswer([OK[:5], OK[5:]])),
    "here": lambda: answered(FakeAnswer([OK], here=True)),
    "stream": lambda: streamed(CHUNK, CHUNK, LAST, DONE),
    "broken stream": lambda: streamed(CHUNK, Cut("c")),
    "error status": lambda: answered(FakeAnswer([b"{}", b"{}"], JSON, 500)),
    "second target": lambda: Case([[Away("a")], [FakeAnswer([OK, OK])]]),
    "form": lambda: Case([[FakeAnswer([OK])]], FakeIncoming([FORM[:70], FORM[70:]], *UPLOAD)),
}


@pytest.mark.parametrize("make", CANCELLED.values(), ids=CANCELLED)
async def test_cancelled_at_every_await(make: Callable[[], Case]) -> None:
    turns = 0
    cancelled = True
    while cancelled:
        case = make()
        task = asyncio.get_running_loop().create_task(case.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled = task.cancel()
        outcome: object = (await asyncio.gather(task, return_exceptions=True))[0]
        if case.ended:  # Cancelled before its first step it never lived.
            case.check()
        if isinstance(outcome, asyncio.CancelledError) and case.ended:
            assert isinstance(case.x.error, asyncio.CancelledError)
        turns += 1 + turns // 20  # Threads read the form: turns go by while they do.
    assert turns > 4


async def test_a_bug_is_settled_too() -> None:
    async def bug(_: object) -> None:
        raise ZeroDivisionError

    case = Case([[]], last_step=Later(bug))
    with pytest.raises(ZeroDivisionError):
        await case.run()
    case.check()
    assert isinstance(case.x.error, ZeroDivisionError)


async def test_an_end_action_that_fails_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    case = answered(FakeAnswer([OK]))
    case.x.at_end(lambda _: case.ended.append(str(1 // 0)))
    await case.run()
    case.check()
    assert "an end action of req_test failed" in caplog.text


async def test_an_empty_plan_is_our_own_mistake() -> None:
    def no_plan(x: object) -> None:
        case.x.plan = ()

    case = Case([[]], FakeIncoming(CHAT), last_step=no_plan)
    with pytest.raises(ProxyError, match="plan of this request is empty"):
        await case.run()
    case.check()


async def test_what_is_over_is_gone_at_once_and_waits_for_no_collector() -> None:
    case = answered(FakeAnswer([OK]))
    await case.run()
    case.check()
    assert not any(isinstance(each, Tries) for each in gc.get_referrers(case.x))
