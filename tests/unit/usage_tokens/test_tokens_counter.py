"""Which answers are counted, and that it is bounded: deadline, queue, cancel, broken parts."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tiktoken import Encoding

from proxy.core.counting import NoCounter
from proxy.core.exchange import Exchange
from proxy.core.life import serve
from proxy.usage.tokens import counter as counter_module
from proxy.usage.tokens.counter import ThreadCounter
from proxy.usage.tokens.encodings import Encodings
from proxy.usage.tokens.ranks import NoRanks
from proxy.wire.record import Usage
from tests.fakes.caller import FakeIncoming, FakeOut
from tests.fakes.exchange import simple
from tests.fakes.openai_wire import chat_body
from tests.fakes.wire import EVENTS, JSON, FakeAnswer, FakeTransport

BODY = b'{"model":"m","messages":[{"role":"user","content":"hello world"}]}'
ANSWER = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"hello"}}]}'
COUNTED = Usage(9, 1)


@pytest.fixture
def counter(encodings: Encodings) -> Iterator[ThreadCounter]:
    made = ThreadCounter(encodings, deadline=10.0)
    yield made
    made.close()


class Stuck(Encodings):
    """Loads until it is told to stop."""

    def __init__(self, real: Encodings) -> None:
        super().__init__()
        self.real = real
        self.go = threading.Event()

    def get(self, name: str) -> Encoding:
        assert self.go.wait(10)
        return self.real.get(name)


@pytest.fixture
def stuck(encodings: Encodings) -> Iterator[Stuck]:
    made = Stuck(encodings)
    yield made
    made.go.set()


def asked(
    tokens: ThreadCounter | NoCounter,
    answer: bytes = ANSWER,
    path: str = "/chat/completions",
    status: int = 200,
    body: bytes = BODY,
) -> Exchange:
    """A request that is about to be served by a vendor that answers so."""
    transport = FakeTransport(FakeAnswer([answer], JSON, status, here=True))
    x = simple(transport, FakeIncoming(body, path))
    x.runtime = replace(x.runtime, tokens=tokens)
    return x


async def ended(tokens: ThreadCounter | NoCounter, answer: bytes = ANSWER) -> Exchange:
    x = asked(tokens, answer)
    await serve(x, FakeOut())
    assert x.finished
    return x


async def test_an_answer_without_usage_is_counted(counter: ThreadCounter) -> None:
    assert (await ended(counter)).counted == COUNTED


@pytest.mark.parametrize(
    "usage",
    [
        b'{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}',
        b'{"prompt_tokens" : 0}',
        b'{"input_tokens":7,"output_tokens":3}',
        b'{"search_units":1}',
    ],
)
async def test_an_answer_with_usage_is_not_touched(counter: ThreadCounter, usage: bytes) -> None:
    x = await ended(counter, ANSWER[:-1] + b',"usage":%b}' % usage)
    assert x.counted is None
    assert not counter.wants(x)
    assert counter._pool._threads == set()  # Not even a thread was begun.


async def test_usage_that_was_found_is_there_for_who_comes_later(counter: ThreadCounter) -> None:
    usual = b'{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}'
    for usage, found in ((usual, Usage(7, 3)), (b'{"input_tokens":7}', None)):
        tail = (await ended(counter, ANSWER[:-1] + b',"usage":%b}' % usage)).tail
        assert tail.seen == (tail.total, found)


@pytest.mark.parametrize(
    "usage", [b"null", b"{}", b'{"prompt_tokens":null,"completion_tokens":null}', b'{"a":-1}']
)
async def test_usage_that_says_nothing_is_none(counter: ThreadCounter, usage: bytes) -> None:
    assert (await ended(counter, ANSWER[:-1] + b',"usage":%b}' % usage)).counted == COUNTED


async def test_a_limit_that_is_repeated_is_no_usage(counter: ThreadCounter) -> None:
    x = await ended(counter, ANSWER[:-1] + b',"max_output_tokens":100,"max_tokens":7}')
    assert x.counted == COUNTED


async def test_a_text_that_speaks_of_tokens_is_no_usage(counter: ThreadCounter) -> None:
    answer = ANSWER.replace(b'"hello"', rb'"\"usage\":{\"prompt_tokens\":7}"')
    assert (await ended(counter, answer)).counted is not None


@pytest.mark.parametrize(
    ("path", "answer", "counted"),
    [
        ("/embeddings", b'{"object":"list","data":[{"embedding":[0.1]}]}', True),
        ("/completions", b'{"choices":[{"text":"hello"}]}', True),
        ("/responses", b'{"object":"response","output":[]}', True),
        ("/moderations", b'{"results":[]}', False),
        ("/rerank", b'{"results":[]}', False),
        ("/images/generations", b'{"data":[]}', False),
        ("/files", b'{"data":[]}', False),
    ],
)
async def test_only_texts_are_counted(
    counter: ThreadCounter, path: str, answer: bytes, counted: bool
) -> None:
    x = asked(counter, answer, path)
    await serve(x, FakeOut())
    assert (x.counted is not None) is counted


async def test_what_is_no_good_answer_is_not_counted(counter: ThreadCounter) -> None:
    x = asked(counter, status=302)
    x.tail.feed(ANSWER)
    assert not counter.wants(x)  # Nobody has answered.


async def test_nobody_counts_where_nothing_is_recorded() -> None:
    tokens = NoCounter()
    x = await ended(tokens)
    assert x.counted is None
    assert tokens.listen(x) is None
    await tokens.count(x, ANSWER)
    tokens.close()
    assert x.counted is None


async def test_the_deadline_leaves_the_estimate(stuck: Stuck) -> None:
    counter = ThreadCounter(stuck, deadline=0.02)
    async with asyncio.timeout(5):
        assert (await ended(counter)).counted is None
    stuck.go.set()
    counter.close()


async def test_a_full_queue_leaves_the_estimate(
    stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counter_module, "QUEUE", 2)
    counter = ThreadCounter(stuck, deadline=10.0)
    exchanges = [asked(counter) for _ in range(2)]
    waiting = [asyncio.ensure_future(serve(x, FakeOut())) for x in exchanges]  # noqa: TID251
    while counter._waiting < 2:
        await asyncio.sleep(0)
    assert (await ended(counter)).counted is None  # At once, although the thread is stuck.
    stuck.go.set()
    await asyncio.gather(*waiting)
    assert [x.counted for x in exchanges] == [COUNTED, COUNTED]
    assert (await ended(counter)).counted == COUNTED  # There is room again.
    counter.close()


async def test_a_caller_that_leaves_settles_with_the_estimate(stuck: Stuck) -> None:
    counter = ThreadCounter(stuck, deadline=10.0)
    x = asked(counter)
    settled: list[Usage | None] = []
    x.at_end(lambda exchange: settled.append(exchange.counted))
    task = asyncio.ensure_future(serve(x, FakeOut()))  # noqa: TID251
    while not counter._waiting:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert settled == [None]
    assert not x.finished
    assert counter._waiting == 0
    stuck.go.set()
    counter.close()


class Broken(Encodings):
    """Fails in a way of the test's choice."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.asked = 0

    def get(self, name: str) -> Encoding:
        self.asked += 1
        raise self.error


class Panic(BaseException):
    """As pyo3 tells of a panic in Rust."""


@pytest.mark.parametrize("error", [ValueError("strange"), Panic("stack overflow")])
async def test_no_fault_of_counting_reaches_the_caller(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken(error)
    counter = ThreadCounter(broken, deadline=10.0)
    for _ in range(2):
        assert (await ended(counter)).counted is None
    assert broken.asked == 2
    assert "could not be counted" in caplog.text
    counter.close()


async def test_without_ranks_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken(NoRanks("nowhere"))
    counter = ThreadCounter(broken, deadline=10.0)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await ended(counter)).counted is None
    assert broken.asked == 1
    assert caplog.text.count("tokens are estimated, not counted: nowhere") == 1
    counter.close()


async def test_when_it_is_closed_it_leaves_everything(encodings: Encodings) -> None:
    counter = ThreadCounter(encodings)
    counter.close()
    counter.close()
    assert (await ended(counter)).counted is None


async def test_what_is_too_large_never_reaches_the_thread(counter: ThreadCounter) -> None:
    x = asked(counter)
    x.attempts.clear()
    await serve(x, FakeOut())
    x.counted = None
    await counter.count(x, b"x" * (8 * 1024 * 1024 + 1))
    assert x.counted is None


def streamed(tokens: ThreadCounter, events: list[bytes]) -> Exchange:
    body = BODY[:-1] + b',"stream":true}'
    x = simple(FakeTransport(FakeAnswer(events, EVENTS)), FakeIncoming(body))
    x.runtime = replace(x.runtime, tokens=tokens)
    return x


SILENT = [b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n', b"data: [DONE]\n\n"]
TOLD = [SILENT[0], b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n', SILENT[1]]


async def test_a_target_is_known_by_its_first_answer(counter: ThreadCounter) -> None:
    found = []
    for events in (SILENT, SILENT, TOLD, SILENT):
        x = streamed(counter, events)
        await serve(x, FakeOut())
        found.append(x.counted)
    # The first is not kept; usage that comes after all ends the watching.
    assert found == [None, COUNTED, None, None]


async def test_a_whole_answer_tells_of_the_streams(counter: ThreadCounter) -> None:
    await ended(counter)
    x = streamed(counter, SILENT)
    await serve(x, FakeOut())
    assert x.counted == COUNTED
    await ended(counter, chat_body())  # Usage in whole answers says nothing of streams.
    x = streamed(counter, SILENT)
    await serve(x, FakeOut())
    assert x.counted == COUNTED


async def test_what_is_remembered_is_bounded(
    counter: ThreadCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counter_module, "MOST_TARGETS", 2)
    for model in ("a", "b", "c"):
        transport = FakeTransport(FakeAnswer([ANSWER], here=True))
        x = simple(transport, FakeIncoming(BODY), upstream=model)
        x.runtime = replace(x.runtime, tokens=counter)
        await serve(x, FakeOut())
    assert [model for _, model in counter._silent] == ["b", "c"]
