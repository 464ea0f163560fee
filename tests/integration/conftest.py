"""Asynchronous tests of this folder run on the loop that workers use; on both, where their module
says `BOTH_LOOPS = True`; on asyncio's, where it is control that does the work: `CONTROL = True`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from proxy.server.listener import Kind
from tests.fakes.vendor import Vendor
from tests.integration.both_servers import http_server, pytest_generate_tests
from tests.integration.gateway import Gateway, gateway, settings

__all__ = ["http_server", "pytest_generate_tests"]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that workers use, and the one that is there where uvloop is not."""
    module = item.getparent(pytest.Module)
    if module is not None and getattr(module.obj, "CONTROL", False):
        return {"asyncio": asyncio.new_event_loop}
    if module is not None and getattr(module.obj, "BOTH_LOOPS", False):
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as vendor:
        yield vendor


@pytest.fixture
async def proxy(vendor: Vendor, http_server: Kind) -> AsyncIterator[Gateway]:
    """The gateway in front of `vendor`, with the usual configuration."""
    async with gateway(settings(vendor, http_server=http_server)) as proxy:
        yield proxy
