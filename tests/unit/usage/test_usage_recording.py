"""What an exchange becomes in its record: outcome, tokens, cost and times of every ending."""

import asyncio
from contextlib import suppress

import pytest

from proxy.base.errors import Cut, NotAuthenticated, ProxyError, Unreachable
from proxy.core.exchange import Exchange
from proxy.core.life import serve
from proxy.middleware.labels import labels
from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import Price
from proxy.usage.prices.table import PriceTable
from proxy.usage.recording import Identity, record_of_exchange
from proxy.wire.record import UsageRecord, line_of
from proxy.wire.record_reader import record_of
from tests.fakes.caller import FakeIncoming, FakeOut
from tests.fakes.exchange import simple
from tests.fakes.wire import EVENTS, FakeAnswer, FakeTransport

BODY = b'{"model":"m","messages":[]}'
STREAMED = b'{"model":"m","messages":[],"stream":true}'
ANSWER = b'{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010}}'
TABLE = PriceTable(in_force)
PRICES = Pricer(
    TABLE,
    {"p": Vendor("openai", "http://127.0.0.1")},
    {("p", "m"): Price.of({"input": 2_500_000_000, "output": 10_000_000_000})},
)


@pytest.fixture(scope="module", autouse=True)
def catalogue() -> str:
    """Read off the loop, as a worker does when it starts."""
    return TABLE.catalogue.version


def recorded(x: Exchange, pricer: Pricer = PRICES) -> UsageRecord:
    record = record_of_exchange(x, Identity("worker-0"), pricer)
    assert record_of(line_of(record)) == record
    return record


async def run(x: Exchange) -> UsageRecord:
    made: list[UsageRecord] = []
    x.at_end(lambda exchange: made.append(recorded(exchange)))
    with suppress(ProxyError, asyncio.CancelledError):  # The record is what is looked at.
        await serve(x, FakeOut())
    (record,) = made
    return record


async def test_a_whole_answer() -> None:
    x = simple(FakeTransport(FakeAnswer([ANSWER], here=True)), FakeIncoming(BODY))
    record = await run(x)
    assert (record.outcome, record.status, record.error) == ("completed", 200, None)
    assert record.usage is not None
    assert (record.usage.input, record.usage.output) == (1000, 10)
    assert record.usage_source == "upstream"
    assert record.cost == 1000 * 2_500 + 10 * 10_000  # Nano-USD: $2.50 and $10 a million.
    assert (record.served_provider, record.served_model, record.model) == ("p", "m", "m")
    (attempt,) = record.attempts
    assert attempt.cost is not None
    assert attempt.cost.total == record.cost
    assert 0 <= attempt.started <= attempt.ended <= record.done


async def test_without_a_price_the_cost_is_unknown_and_never_nothing() -> None:
    x = simple(FakeTransport(FakeAnswer([ANSWER], here=True)), FakeIncoming(BODY))
    await serve(x, FakeOut())
    record = recorded(x, Pricer(TABLE, {}))
    assert record.cost is None
    assert record.unpriced
    assert record.usage is not None


async def test_a_cut_stream_costs_what_was_relayed() -> None:
    events = b'data: {"choices":[{"delta":{"content":"' + b"word " * 40 + b'"}}]}\n\n'
    answer = FakeAnswer([events, Cut("gone")], EVENTS)
    record = await run(simple(FakeTransport(answer), FakeIncoming(STREAMED)))
    assert (record.outcome, record.status, record.error) == ("upstream_cut", 200, "cut")
    assert record.usage_source == "estimated"
    assert record.usage is not None
    assert record.usage.output == 50  # 200 bytes of text.
    assert record.cost
    assert record.attempts[0].error == "cut"


async def test_a_refused_request_costs_nothing() -> None:
    x = simple(FakeTransport(), FakeIncoming(b"not json"))
    record = await run(x)
    assert (record.outcome, record.status, record.code) == ("refused", 400, "invalid_json")
    assert (record.cost, record.usage, record.attempts) == (0, None, ())


async def test_a_provider_that_cannot_be_reached_costs_nothing() -> None:
    record = await run(simple(FakeTransport(Unreachable("no way")), FakeIncoming(BODY)))
    assert (record.outcome, record.status, record.error) == ("failed", 502, "connect")
    assert (record.cost, record.usage) == (0, None)
    assert [a.error for a in record.attempts] == ["connect"]


async def test_a_caller_that_leaves_while_the_vendor_thinks() -> None:
    class Silent(FakeTransport):
        async def send(self, outgoing: object, timeouts: object) -> FakeAnswer:
            await asyncio.Event().wait()
            raise AssertionError

    x = simple(Silent(), FakeIncoming(BODY))
    made: list[UsageRecord] = []
    x.at_end(lambda exchange: made.append(recorded(exchange)))
    task = asyncio.get_running_loop().create_task(serve(x, FakeOut()))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (record,) = made
    assert (record.outcome, record.status, record.error) == ("client_gone", 499, "client_gone")
    assert record.usage_source == "estimated"  # It read the request: that may be charged.
    assert record.usage is not None
    assert (record.usage.input, record.usage.output) == (7, 0)


async def test_labels_are_those_of_the_request() -> None:
    headers = [("x-llm-proxy-customer", "acme"), ("x-llm-proxy-tags", "a, b,,a")]
    x = simple(FakeTransport(FakeAnswer([ANSWER], here=True)), FakeIncoming(BODY, headers=headers))
    labels(x)
    record = await run(x)
    assert (record.customer, record.session, record.tags) == ("acme", None, ("a", "b"))


async def test_the_record_is_made_before_the_answer_is_whole() -> None:
    out, x = (
        FakeOut(),
        simple(
            FakeTransport(FakeAnswer([b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n"], EVENTS)),
            FakeIncoming(STREAMED),
        ),
    )
    seen: list[bytes] = []
    x.at_end(lambda _: seen.append(bytes(out.body)))
    await serve(x, out)
    assert len(seen) == 1
    assert b"[DONE]" not in seen[0]


def test_who_has_no_key_is_nobody() -> None:
    x = simple(FakeTransport(), FakeIncoming(BODY))
    x.error = NotAuthenticated("no")
    assert recorded(x).key == "unknown"
