"""A shipper that runs while a test does something to its store, and what to wait for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from proxy.stores.postgres.usage import PostgresUsage
from proxy.usage.shipper import Shipper, ShipperOptions
from tests.fakes.postgres import query
from tests.unit.usage_ship.spool_files import segments_in

QUICK = ShipperOptions(batch=50, poll=0.005)


@contextlib.asynccontextmanager
async def shipping(folder: Path, store: PostgresUsage) -> AsyncIterator[Shipper]:
    shipper = Shipper(folder, store, QUICK)
    task = asyncio.get_running_loop().create_task(shipper.run())
    try:
        yield shipper
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await store.close()


async def until_empty(folder: Path, patience: float = 30.0) -> None:
    """Wait until all segments were shipped and deleted."""
    async with asyncio.timeout(patience):
        while await asyncio.to_thread(segments_in, folder):
            await asyncio.sleep(0.01)


async def until_away(shipper: Shipper) -> str:
    async with asyncio.timeout(20):
        while (reason := shipper.state().reason) is None:
            await asyncio.sleep(0.005)
    return reason


async def until_shipped(shipper: Shipper, least: int) -> None:
    async with asyncio.timeout(20):
        while shipper.state().shipped < least:
            await asyncio.sleep(0.005)


async def until_back(shipper: Shipper) -> None:
    async with asyncio.timeout(20):
        while shipper.state().reason is not None:
            await asyncio.sleep(0.005)


async def until_rows(dsn: str, least: int) -> None:
    async with asyncio.timeout(20):
        while (await query(dsn, "SELECT count(*) FROM usage"))[0][0] < least:
            await asyncio.sleep(0.002)
