"""Both event loops, and transports that must leave nothing behind."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import uvloop

from proxy.upstream.origin import Origin
from proxy.upstream.pool import PoolLimits
from proxy.upstream.transport import HttpTransport
from tests.unit.upstream.calls import Connect, turns


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every asynchronous test of this folder on both loops."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes transports that must leave no place taken, no task, and nothing logged by the loop."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    made: list[HttpTransport] = []

    def make(origin: Origin, limits: PoolLimits | None = None, **options: Any) -> HttpTransport:
        transport = HttpTransport(origin, limits or PoolLimits(), **{"tls": None, **options})
        made.append(transport)
        return transport

    yield make
    for transport in made:
        transport.close()
    await turns(20)
    assert [transport.stats().open for transport in made] == [0] * len(made)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "upload"]
    gc.collect()
    assert complaints == []
