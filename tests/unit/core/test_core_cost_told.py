"""What an answer cost is told in its head: exact, of all attempts, and only where it is known."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from proxy.core.attempt import Attempt
from proxy.core.cost_told import tell_cost
from proxy.core.exchange import Exchange
from proxy.core.life import serve
from proxy.core.target import Target
from proxy.wire.record import Usage
from tests.fakes.caller import FakeIncoming, FakeOut
from tests.fakes.exchange import provider, simple
from tests.fakes.wire import EVENTS, FakeAnswer, FakeTransport

if TYPE_CHECKING:
    from proxy.wire.headers import Pairs

COST = b"x-llm-proxy-cost"
BODY = b'{"model":"m","messages":[]}'
ANSWER = b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}'
STREAM = (
    b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
USED = Usage(9, 4)


def exchange(*answers: FakeAnswer) -> Exchange:
    return simple(FakeTransport(*answers), FakeIncoming(BODY))


def tried(usage: Usage | None, cost: int | None) -> Attempt:
    attempt = Attempt(Target(provider("p", FakeTransport()), "m"))
    attempt.usage, attempt.cost = usage, cost
    return attempt


@pytest.mark.parametrize(
    ("costs", "told"),
    [
        ([(USED, 62_500)], b"0.0000625"),
        ([(USED, 1)], b"0.000000001"),
        ([(USED, 0)], b"0"),
        ([(USED, 3_000_000_000)], b"3"),
        ([(USED, 12_500_000_000)], b"12.5"),
        ([(USED, 10**20)], b"100000000000"),
        ([(None, None), (USED, 7)], b"0.000000007"),
        ([(USED, 5), (USED, 7)], b"0.000000012"),
        ([(USED, 0), (USED, 0)], b"0"),
        ([(USED, None)], None),
        ([(USED, 5), (USED, None)], None),
        ([(USED, None), (USED, 5)], None),
        ([(None, None)], None),
        ([], None),
    ],
)
def test_the_cost_of_all_attempts(
    costs: Sequence[tuple[Usage | None, int | None]], told: bytes | None
) -> None:
    x = exchange()
    x.attempts = [tried(*each) for each in costs]
    headers: Pairs = []
    tell_cost(x, headers)
    assert headers == ([] if told is None else [(COST, told)])


async def head_of(answer: FakeAnswer, cost: int | None) -> dict[bytes, bytes]:
    """The head that left, where what is recorded says this cost."""
    x = exchange(answer)

    def settle(ended: Exchange) -> None:
        for attempt in ended.attempts:
            attempt.usage, attempt.cost = USED, cost

    x.at_end(settle)
    out = FakeOut()
    await serve(x, out)
    return dict(out.headers)


@pytest.mark.parametrize("here", [True, False], ids=["here at once", "in pieces"])
async def test_a_whole_answer_tells_its_cost(here: bool) -> None:
    pieces = [ANSWER] if here else [ANSWER[:20], ANSWER[20:]]
    assert (await head_of(FakeAnswer(pieces, here=here), 62_500))[COST] == b"0.0000625"
    assert COST not in await head_of(FakeAnswer(pieces, here=here), None)


async def test_a_stream_tells_none() -> None:
    assert COST not in await head_of(FakeAnswer([STREAM], EVENTS), 62_500)


async def test_a_vendor_cannot_say_it_for_us() -> None:
    head = [(b"content-type", b"application/json"), (COST, b"0")]
    assert COST not in await head_of(FakeAnswer([ANSWER], head, here=True), None)
