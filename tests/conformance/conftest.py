"""The gateway between the official SDK (both clients) and a vendor, on the loop of a worker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.conformance.judge import JUDGES, Judge
from tests.fakes.vendor import Vendor
from tests.integration.gateway import ALL, Gateway, gateway, settings


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that workers use."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as vendor:
        yield vendor


@pytest.fixture
async def proxy(vendor: Vendor) -> AsyncIterator[Gateway]:
    async with gateway(settings(vendor)) as proxy:
        yield proxy


@pytest.fixture(params=JUDGES)
async def judge(request: pytest.FixtureRequest, proxy: Gateway) -> AsyncIterator[Judge]:
    """The SDK with a key that may use everything."""
    judge = JUDGES[request.param](proxy.url, ALL)
    yield judge
    await judge.close()
