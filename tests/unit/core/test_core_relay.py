"""Relay: the path is chosen from the head; what must change is changed, all else passes."""

import asyncio
import gzip
from collections.abc import Sequence

import pytest

from proxy.base.errors import Cut, Malformed, NotFound, Refused, TimedOut, UpstreamError
from proxy.core.ports import Answer, RawHeaders
from proxy.core.reply import Reply, json_reply
from proxy.core.steps import Later
from proxy.core.stream import HOLD
from proxy.core.writer import Writer
from proxy.wire.coding import Inflate
from proxy.wire.sse import WholeEvents
from tests.fakes.caller import FakeIncoming, FakeOut
from tests.fakes.wire import EVENTS, JSON, FakeAnswer
from tests.unit.core.outcomes import CHUNK, DONE, LAST, STREAM, USAGE, Case

BINARY: RawHeaders = ((b"content-type", b"audio/mpeg"), (b"content-length", b"6"))
CODED = (b"content-encoding", b"gzip")


def got(answer: FakeAnswer, path: str = "/chat/completions", body: bytes = STREAM) -> Case:
    return Case([[answer]], FakeIncoming(body, path))


async def ran(answer: FakeAnswer, path: str = "/chat/completions", body: bytes = STREAM) -> FakeOut:
    case = got(answer, path, body)
    await case.run()
    case.check()
    assert case.x.finished
    return case.out


async def test_json_is_held_until_it_is_whole() -> None:
    case = got(FakeAnswer([b'{"a":', b"1}"]))
    await case.run()
    assert case.out.did == ["whole"]
    assert case.out.pieces == [b'{"a":1}']
    assert case.x.tail.last() == b'{"a":1}'


async def test_json_larger_than_the_hold_is_passed_on() -> None:
    pieces = [b'{"a":"', b"x" * HOLD, b"y" * HOLD, b'"}']
    out = await ran(FakeAnswer(pieces))
    assert out.did == ["start", "end"]
    assert out.pieces == [b'{"a":"' + b"x" * HOLD, b"y" * HOLD, b'"}']


async def test_large_json_that_is_cut_has_no_end() -> None:
    case = got(FakeAnswer([b"x" * (HOLD + 1), Cut("c")]))
    await case.run()
    case.check()
    assert case.out.did == ["start", "cut"]
    assert isinstance(case.x.error, Cut)


async def test_binary_passes_in_its_pieces_with_its_length() -> None:
    out = await ran(FakeAnswer([b"\xff\n\n", b"abc"], BINARY), "/audio/speech", b'{"model":"m"}')
    assert out.pieces == [b"\xff\n\n", b"abc"]
    assert out.length == 6
    assert out.did == ["start", "end"]


async def test_binary_that_is_cut_has_no_end() -> None:
    case = got(FakeAnswer([b"abc", Cut("c")], BINARY), "/audio/speech", b'{"model":"m"}')
    await case.run()
    case.check()
    assert case.out.did == ["start", "cut"]
    assert case.out.body == b"abc"


async def test_a_stream_inside_a_huge_event_is_cut_without_words() -> None:
    event = b"data: " + b"x" * (1024 * 1024 + 1)
    case = got(FakeAnswer([CHUNK, event, Cut("c")], EVENTS))
    await case.run()
    case.check()
    assert case.out.did == ["start", "cut"]
    assert case.out.body == CHUNK + event


async def test_each_event_goes_out_by_itself_in_its_turn() -> None:
    out = await ran(FakeAnswer([CHUNK, CHUNK[:7], CHUNK[7:], LAST, DONE], EVENTS))
    assert out.pieces == [CHUNK, CHUNK, LAST, DONE]
    assert out.length is None


async def test_a_compressed_stream_is_read_and_sent_plain() -> None:
    body = gzip.compress(CHUNK + LAST + USAGE + DONE)
    out = await ran(FakeAnswer([body[:20], body[20:]], (*EVENTS, CODED)))
    assert out.body == CHUNK + LAST + DONE
    assert CODED not in out.headers


async def test_compressed_json_is_read_and_sent_plain() -> None:
    body = gzip.compress(b'{"usage":{"a":1}}')
    headers = (*JSON, CODED, (b"content-length", b"%d" % len(body)))
    case = got(FakeAnswer([body], headers, here=True))
    await case.run()
    case.check()
    assert case.out.body == b'{"usage":{"a":1}}'
    assert case.out.length is None
    assert case.x.tail.usage() == b'{"a":1}'


async def test_a_compressed_body_that_is_cut_inside_is_an_error() -> None:
    body = gzip.compress(b'{"usage":{"a":1}}' * 50)
    case = got(FakeAnswer([body[:-9]], (*JSON, CODED)))
    with pytest.raises(Malformed):
        await case.run()
    case.check()
    assert case.out.did == []


async def test_a_compressed_stream_that_is_garbage_breaks_off() -> None:
    body = gzip.compress(CHUNK, mtime=0)
    case = got(FakeAnswer([body, b"garbage"], (*EVENTS, CODED)))
    await case.run()
    case.check()
    assert case.out.body.startswith(CHUNK + b"event: error\n")


async def test_a_coding_that_need_not_be_read_passes() -> None:
    body = gzip.compress(b"x")
    answer = FakeAnswer([body], (*BINARY[:1], CODED))
    out = await ran(answer, "/audio/speech", b'{"model":"m"}')
    assert out.body == body
    assert CODED in out.headers


async def test_a_stream_in_a_coding_that_cannot_be_read_passes() -> None:
    headers = (*EVENTS, (b"content-encoding", b"br"))
    out = await ran(FakeAnswer([b"\x00\x01", b"\x02"], headers), "/responses")
    assert out.body == b"\x00\x01\x02"


class Unreadable(FakeAnswer):
    """An answer in a coding that `read` cannot undo."""

    async def read(self, limit: int) -> bytes:
        raise Malformed("br")


async def test_an_error_that_cannot_be_read_keeps_its_status() -> None:
    headers = ((b"content-encoding", b"br"), (b"retry-after", b"7"))
    case = Case([[Unreadable([], headers, 429)]], FakeIncoming(path="/v1/files", method="GET"))
    with pytest.raises(Refused) as caught:
        await case.run()
    case.check()
    assert (caught.value.status, caught.value.headers) == (429, headers[1:])


async def test_head_has_the_length_and_no_body() -> None:
    headers = ((b"content-length", b"42"), (b"content-encoding", b"br"))
    case = Case([[Unreadable([], headers)]], FakeIncoming(path="/v1/files/f", method="HEAD"))
    await case.run()
    case.check()
    assert (case.out.body, case.out.length, case.out.did) == (b"", 42, ["whole"])


@pytest.mark.parametrize("path", ["/responses", "/images/generations"])
async def test_streams_of_other_operations_end_with_http(path: str) -> None:
    end = b'event: response.completed\ndata: {"type":"response.completed"}\n\n'
    out = await ran(FakeAnswer([b"data: 1\n\n", end], EVENTS), path)
    assert out.body == b"data: 1\n\n" + end


async def test_a_responses_stream_without_its_last_event_was_cut() -> None:
    event = b'data: {"type":"response.output_text.delta","finish_reason":"stop"}\n\n'
    case = got(FakeAnswer([event], EVENTS), "/responses")
    await case.run()
    case.check()
    assert case.out.body.startswith(event + b"event: error\n")


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize(
    ("body", "error"), [(b"", Malformed), (b'{"a":[1', Cut), (b'{"a":{"b":1}', Cut)]
)
async def test_json_that_http_calls_whole_and_that_is_not(
    here: bool, body: bytes, error: type[UpstreamError]
) -> None:
    case = got(FakeAnswer([body] if body else [], here=here))
    with pytest.raises(error):
        await case.run()
    case.check()
    assert case.out.did == []


@pytest.mark.parametrize("here", [True, False])
async def test_json_of_its_declared_length_that_is_not_whole_gives_way(here: bool) -> None:
    headers = (*JSON, (b"content-length", b"7"))
    bad = FakeAnswer([b'{"a":', b"[1"], headers, here=here)
    case = Case([[bad], [FakeAnswer([b"{}"])]])
    await case.run()
    case.check()
    assert (case.out.body, case.x.finished) == (b"{}", True)
    first, second = case.x.attempts
    assert (first.error, second.error) == (Cut.kind, None)
    assert first.heard is not None and first.heard.total == 7


async def test_the_length_of_a_compressed_body_is_not_that_of_what_it_holds() -> None:
    coded = gzip.compress(b"x" * 5000)
    size = next(n for n in range(len(coded)) if Inflate().feed(coded[:n]))
    length = b"%d" % len(Inflate().feed(coded[:size]))
    headers = ((b"content-type", b"text/plain"), CODED, (b"content-length", length))
    case = got(FakeAnswer([coded[:size], Cut("c")], headers))
    await case.run()
    case.check()
    assert not case.x.finished


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize("body", [b"", b'{"a":[1]}', b"words"])
async def test_what_has_no_model_may_be_empty(here: bool, body: bytes) -> None:
    answer = FakeAnswer([body] if body else [], here=here)
    out = await ran(answer, "/files", b"{}")
    assert out.body == body


@pytest.mark.parametrize("here", [True, False])
async def test_a_coding_that_passes_is_not_judged_as_json(here: bool) -> None:
    """Brotli may well begin with the byte of a brace."""
    answer = FakeAnswer([b"[\x00\x01"], (*JSON, (b"content-encoding", b"br")), here=here)
    out = await ran(answer, "/files", b"{}")
    assert out.body == b"[\x00\x01"


@pytest.mark.parametrize("trouble", [Cut("c"), TimedOut("t", phase="idle")])
async def test_what_breaks_off_behind_the_last_event_cuts_nothing(trouble: UpstreamError) -> None:
    out = await ran(FakeAnswer([CHUNK, LAST, DONE, trouble], EVENTS))
    assert out.body == CHUNK + LAST + DONE
    assert out.did == ["start", "end"]


class Upper:
    """A decoder that holds events, changes them and says goodbye."""

    def __init__(self) -> None:
        self._whole = WholeEvents()

    def feed(self, data: bytes) -> bytes:
        return self._whole.feed(data).upper()

    def finish(self) -> bytes:
        return self._whole.finish().upper() + b": bye\n\n"


async def test_filters_change_in_order_and_watchers_see_what_goes_out() -> None:
    seen: list[bytes] = []
    heads: list[int] = []
    case = got(FakeAnswer([b"data: a\n\n", DONE[:8], DONE[8:-2]], EVENTS))
    case.x.filter(Upper())
    case.x.watch(seen.append)
    case.x.on_reply(lambda reply: heads.append(reply.status))
    await case.run()
    assert case.out.body == b"DATA: A\n\nDATA: [DONE]\n\n: bye\n\n".replace(b"\n\n: bye", b": bye")
    assert seen == case.out.pieces
    assert heads == [200]


async def test_a_watcher_sees_json_that_was_here() -> None:
    seen: list[bytes] = []
    case = got(FakeAnswer([b"{}"], here=True))
    case.x.watch(seen.append)
    await case.run()
    assert seen == [b"{}"]


@pytest.mark.parametrize("headers", [EVENTS, BINARY[:1]])
async def test_an_answer_without_a_body_gets_none_whoever_watches(headers: RawHeaders) -> None:
    case = got(FakeAnswer([], headers, 204, here=True))
    case.x.watch(lambda _: None)
    await case.run()
    case.check()
    assert (case.out.status, case.out.body, case.out.did) == (204, b"", ["whole"])


@pytest.mark.parametrize("here", [True, False])
async def test_a_refusal_by_on_reply_leaves_nothing_open(here: bool) -> None:
    def refuse(_: Reply) -> None:
        raise NotFound("no")

    case = got(FakeAnswer([b"{}"], here=here))
    case.x.on_reply(refuse)
    with pytest.raises(NotFound):
        await case.run()
    case.check()
    assert case.out.did == []


async def test_an_answer_of_our_own_is_sent_whole() -> None:
    async def answer(_: object) -> Reply:
        return json_reply(b"[]", 203)

    case = Case([[]], last_step=Later(answer))
    await case.run()
    case.check()
    assert (case.out.status, case.out.body, case.out.did) == (203, b"[]", ["whole"])
    assert case.x.finished


class SlowOut(FakeOut):
    """A caller that does not read: pauses the source at each piece, and reads a turn later."""

    source: Answer

    def start(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        source: Answer,
        length: int | None = None,
    ) -> Writer:
        self.source = source
        return super().start(status, headers, source, length)

    def write(self, data: bytes) -> None:
        super().write(data)
        self.source.pause()
        asyncio.get_running_loop().call_soon(self.source.resume)


async def test_back_pressure_reaches_the_vendor() -> None:
    answer = FakeAnswer([CHUNK, LAST, DONE], EVENTS)
    case = got(answer)
    case.out = SlowOut()
    await case.run()
    assert answer.did.count("pause") == 3
    assert answer.did[:2] == ["pause", "resume"]
    assert "abort" not in answer.did
