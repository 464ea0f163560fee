"""Probes against a scripted vendor on a real socket: what counts, what does not, what they cost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.base.clock import monotonic
from proxy.core.outgoing import Timeouts
from proxy.core.policy import Breaker
from proxy.core.target import Provider
from proxy.providers.keyring import Keys
from proxy.providers.openai import OpenAIAdapter
from proxy.providers.openai_probe import completion, models
from proxy.routing.healths import Healths
from proxy.routing.probes import Probes, Question, how_is
from proxy.upstream.origin import Origin
from proxy.upstream.pool import PoolLimits
from proxy.upstream.transport import HttpTransport
from tests.fakes.script import STALL, Reply
from tests.fakes.vendor import Vendor

QUICK = Timeouts(0.5, 0.1, 0.1, 0.5)
KEY = (b"authorization", b"Bearer sk-one")
EVERY = 0.01


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as vendor:
        yield vendor


@asynccontextmanager
async def provider(vendor: Vendor, timeouts: Timeouts = QUICK) -> AsyncIterator[Provider]:
    origin, path = Origin.parse(vendor.url)
    transport = HttpTransport(origin, PoolLimits(), tls=None)
    yield Provider(
        name="acme",
        transport=transport,
        timeouts=timeouts,
        adapters={"": OpenAIAdapter()},
        base_path=path,
        headers=((b"x-account", b"ours"),),
        keys=Keys([(KEY, 1.0)]),
    )
    transport.close()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(body=b'{"data":[]}'), None),
        (Reply(status=500), "server"),
        (Reply(status=503), "overloaded"),
        (Reply(status=401), "auth"),
        (Reply(status=404), "absent"),
        (Reply(status=429), "rate_limit"),
        (Reply(status=302), "malformed"),
        (Reply(headers=[("content-type", "text/html")], body=b"<html>"), "malformed"),
        (Reply(before_head=[STALL]), "timeout"),
        (Reply(body=b'{"data":[]}', cut_after=3), "cut"),
    ],
)
async def test_what_an_answer_says(vendor: Vendor, reply: Reply, reason: str | None) -> None:
    vendor.always(reply)
    async with provider(vendor) as asked:
        assert await how_is(Question(asked, models(asked), 1.0)) == reason
    (request,) = vendor.requests
    assert (request.method, request.target) == ("GET", "/v1/models")
    assert request.header("authorization") == "Bearer sk-one"
    assert request.header("x-account") == "ours"


@pytest.mark.parametrize(
    ("model", "cap"), [("gpt-4o", "max_tokens"), ("o3-mini", "max_completion_tokens")]
)
async def test_a_completion_asks_for_one_token(vendor: Vendor, model: str, cap: str) -> None:
    async with provider(vendor) as asked:
        assert await how_is(Question(asked, completion(asked, model), 1.0)) is None
    (request,) = vendor.requests
    sent = request.json()
    assert (sent["model"], sent[cap]) == (model, 1)


async def test_failures_open_breakers_and_an_answer_closes_them(vendor: Vendor) -> None:
    healths = Healths()
    health = healths.of("chat", "acme", "gpt", Breaker(failures=2, recovery=60.0))
    other = healths.of("chat", "other", "gpt", Breaker(failures=1))
    probes = Probes(healths)
    vendor.always(Reply(status=500))
    async with provider(vendor) as asked:
        await probes.apply([Question(asked, models(asked), EVERY)])
        async with asyncio.timeout(10):
            while health.why_not(monotonic()) is None:
                await asyncio.sleep(EVERY)
            vendor.always(Reply(body=b'{"data":[]}'))
            while health.why_not(monotonic()) is not None:
                await asyncio.sleep(EVERY)
        assert health.in_flight == 0
        assert other.why_not(monotonic()) is None
        await probes.stop()
        calls = vendor.calls
        await asyncio.sleep(5 * EVERY)
        assert vendor.calls == calls


@pytest.mark.parametrize("status", [401, 404, 429])
async def test_what_says_nothing_of_its_health_changes_nothing(vendor: Vendor, status: int) -> None:
    healths = Healths()
    health = healths.of("chat", "acme", "gpt", Breaker(failures=1))
    probes = Probes(healths)
    vendor.always(Reply(status=status))
    async with provider(vendor) as asked:
        await probes.apply([Question(asked, models(asked), EVERY)])
        async with asyncio.timeout(10):
            await vendor.arrived.reach(3)
        assert health.why_not(monotonic()) is None
        await probes.stop()


async def test_questions_of_a_provider_never_overlap(vendor: Vendor) -> None:
    vendor.always(Reply(before_head=[STALL]))
    probes = Probes(Healths())
    async with provider(vendor, Timeouts(1.0, 5.0, 5.0, 5.0)) as asked:
        await probes.apply([Question(asked, models(asked), EVERY)])
        async with asyncio.timeout(10):
            await vendor.arrived.reach(1)
        await asyncio.sleep(10 * EVERY)
        assert vendor.calls == 1
        await probes.stop()


async def test_questions_that_cost_end_for_the_day(vendor: Vendor) -> None:
    now = 1_000_000.0
    probes = Probes(Healths(), clock=lambda: now)
    async with provider(vendor) as asked:
        question = Question(asked, completion(asked, "gpt-4o"), EVERY, most=40, daily=100)
        await probes.apply([question])
        async with asyncio.timeout(10):
            await vendor.arrived.reach(2)
        await probes.apply([question])  # A reload is no new day.
        await asyncio.sleep(10 * EVERY)
        assert vendor.calls == 2
        now += 86400.0
        async with asyncio.timeout(10):
            await vendor.arrived.reach(4)
        await asyncio.sleep(10 * EVERY)
        assert vendor.calls == 4
        await probes.stop()
