"""The end of an answer waits for its count, and nothing else does."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from proxy.base.errors import Cut
from proxy.core.counting import Transcript
from proxy.core.exchange import Exchange
from proxy.usage.tokens.transcript import BoundedTranscript
from proxy.wire.record import Usage
from tests.fakes.caller import FakeIncoming
from tests.fakes.wire import EVENTS, FakeAnswer
from tests.unit.core.outcomes import CHAT, CHUNK, DONE, LAST, STREAM, Case

USAGE = Usage(3, 4)


class Scripted:
    """A counter that counts when the test says so."""

    def __init__(self, *, wants: bool = True, hears: bool = True) -> None:
        self.going = asyncio.Event()
        self.counting = asyncio.Event()
        self.heard: list[bytes] = []
        self._wants = wants
        self._hears = hears

    async def count_input(self, _x: Exchange, _models: Sequence[str]) -> int | None:
        return None

    def listen(self, _x: Exchange) -> Transcript | None:
        return BoundedTranscript(200) if self._hears else None

    def wants(self, x: Exchange) -> bool:
        return self._wants and x.counted is None

    async def count(self, x: Exchange, body: bytes) -> None:
        self.heard.append(body)
        self.counting.set()
        await self.going.wait()
        x.counted = USAGE

    def close(self) -> None:
        self.going.set()


class Lingering(FakeAnswer):
    """Says everything, and its end only when told."""

    def __init__(self, pieces: Sequence[bytes | Exception]) -> None:
        super().__init__(pieces, EVENTS)
        self.leave = asyncio.Event()

    async def ready(self) -> None:
        self.left = asyncio.ensure_future(self.leave.wait())  # noqa: TID251
        await super().ready()

    async def pump(self, sink: object) -> None:
        await super().pump(sink)  # type: ignore[arg-type]
        await self.left


def case(tokens: Scripted, answer: FakeAnswer, body: bytes = STREAM) -> Case:
    made = Case([[answer]], FakeIncoming(body))
    made.x.runtime = replace(made.x.runtime, tokens=tokens)
    return made


async def begun(made: Case, tokens: Scripted) -> "asyncio.Task[None]":
    task = asyncio.get_running_loop().create_task(made.run())
    async with asyncio.timeout(5):
        await tokens.counting.wait()
        for _ in range(10):
            await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("here", [True, False])
async def test_json_waits_for_its_count(here: bool) -> None:
    tokens = Scripted()
    made = case(tokens, FakeAnswer([b'{"choices":', b"[]}"], here=here), CHAT)
    task = await begun(made, tokens)
    assert made.out.did == []
    assert made.ended == []
    tokens.going.set()
    await task
    made.check()
    assert tokens.heard == [b'{"choices":[]}']
    assert made.x.counted == USAGE
    assert made.out.did == ["whole"]


async def test_json_with_a_length_waits_too() -> None:
    tokens = Scripted()
    body = b'{"choices":[]}'
    headers = ((b"content-type", b"application/json"), (b"content-length", b"14"))
    made = case(tokens, FakeAnswer([body[:5], body[5:]], headers), CHAT)
    task = await begun(made, tokens)
    assert made.ended == []
    tokens.going.set()
    await task
    made.check()
    assert made.out.body == body


async def test_the_last_piece_of_a_stream_waits_for_its_count() -> None:
    tokens = Scripted()
    made = case(tokens, FakeAnswer([CHUNK, LAST, DONE, b": bye\n\n"], EVENTS))
    task = await begun(made, tokens)
    assert made.out.body == CHUNK + LAST
    assert made.ended == []
    tokens.going.set()
    await task
    made.check()
    assert tokens.heard == [CHUNK + LAST + DONE]
    assert made.out.body == CHUNK + LAST + DONE + b": bye\n\n"
    assert made.x.counted == USAGE


async def test_everything_in_one_read_is_heard() -> None:
    tokens = Scripted()
    tokens.going.set()
    made = case(tokens, FakeAnswer([CHUNK + LAST + DONE], EVENTS))
    await made.run()
    made.check()
    assert tokens.heard == [CHUNK + LAST + DONE]
    assert made.out.body == CHUNK + LAST + DONE


async def test_an_end_that_the_vendor_draws_out_holds_nobody_up() -> None:
    tokens = Scripted()
    answer = Lingering([CHUNK, LAST, DONE])
    made = case(tokens, answer)
    task = await begun(made, tokens)
    tokens.going.set()
    async with asyncio.timeout(5):
        while DONE not in made.out.body:
            await asyncio.sleep(0)
    assert made.ended, "recorded before the last piece left"
    assert not task.done()
    answer.leave.set()
    await task
    made.check()
    assert made.out.body == CHUNK + LAST + DONE


async def test_what_breaks_off_behind_the_end_cuts_nothing() -> None:
    tokens = Scripted()
    made = case(tokens, FakeAnswer([CHUNK, LAST, DONE, Cut("late")], EVENTS))
    task = await begun(made, tokens)
    tokens.going.set()
    await task
    made.check()
    assert made.out.body == CHUNK + LAST + DONE
    assert made.x.counted == USAGE


async def test_a_forgotten_done_is_counted_before_it_is_added() -> None:
    tokens = Scripted()
    made = case(tokens, FakeAnswer([CHUNK, LAST[:-1]], EVENTS))
    task = await begun(made, tokens)
    assert made.out.body == CHUNK
    tokens.going.set()
    await task
    made.check()
    assert tokens.heard == [CHUNK + LAST]
    assert made.out.body == CHUNK + LAST + DONE


async def test_a_text_that_speaks_of_an_end_is_not_held_back() -> None:
    tokens = Scripted()
    tokens.going.set()
    spoken = CHUNK.replace(b'"a"', b'"[DONE]"')
    made = case(tokens, FakeAnswer([spoken, CHUNK, LAST, DONE], EVENTS))
    await made.run()
    made.check()
    assert tokens.heard == [spoken + CHUNK + LAST + DONE]
    assert made.out.pieces == [spoken, CHUNK, LAST, DONE]


async def test_a_cut_stream_is_not_counted() -> None:
    tokens = Scripted()
    made = case(tokens, FakeAnswer([CHUNK, Cut("c")], EVENTS))
    await made.run()
    made.check()
    assert tokens.heard == []


@pytest.mark.parametrize(
    ("wants", "hears", "pieces"),
    [
        (False, True, [CHUNK, LAST, DONE]),
        (True, False, [CHUNK, LAST, DONE]),
        (True, True, [CHUNK * 4, LAST, DONE]),  # More than is kept.
        (True, True, [CHUNK * 4, LAST]),
    ],
)
async def test_what_is_not_counted_does_not_wait(
    wants: bool, hears: bool, pieces: list[bytes]
) -> None:
    tokens = Scripted(wants=wants, hears=hears)
    made = case(tokens, FakeAnswer(pieces, EVENTS))
    async with asyncio.timeout(5):
        await made.run()
    made.check()
    assert tokens.heard == []
    assert made.out.body == b"".join(pieces[:2]) + DONE


@pytest.mark.parametrize("drawn_out", [True, False])
async def test_a_caller_that_leaves_while_it_waits(drawn_out: bool) -> None:
    tokens = Scripted()
    pieces = [CHUNK, LAST, DONE]
    made = case(tokens, Lingering(pieces) if drawn_out else FakeAnswer(pieces, EVENTS))
    task = await begun(made, tokens)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    made.check()
    assert made.x.counted is None
    assert not made.x.finished
    tokens.going.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert DONE not in made.out.body, "it went on behind its end"
