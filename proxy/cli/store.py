"""The store for a command that runs beside the service, or without it.

`store: embedded` belongs to control while `llm-proxy serve` runs; then its server is used. Else it
is started for as long as the command takes.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from proxy.base.secret import Secret
from proxy.config.settings import Settings
from proxy.core.accounting import StoreAway
from proxy.stores.postgres.cluster import running_address
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.programs import NoPostgres
from proxy.stores.postgres.sessions import answers

_NOTHING_YET = "there is no database in {} yet; `llm-proxy serve` makes it when it has started"


@contextlib.asynccontextmanager
async def store_address(settings: Settings, *, make: bool = False) -> AsyncIterator[str]:
    """The URL of the store while the block runs. `make`: create an embedded one that is not there.
    Raises StoreAway."""
    if isinstance(settings.store, Secret):
        yield settings.store.reveal()
        return
    if settings.store == "none":
        raise StoreAway("`store: none` keeps no usage records; name a store, or `embedded`")
    data_dir = settings.data_dir
    if (address := await _running(data_dir)) is not None:
        yield address
        return
    if not make and not await asyncio.to_thread(_has_data, data_dir):
        raise StoreAway(_NOTHING_YET.format(data_dir))
    server = EmbeddedPostgres(data_dir)
    try:
        address = await _started(server, data_dir)
        yield address
    finally:
        await server.stop()


async def _running(data_dir: Path) -> str | None:
    address = await asyncio.to_thread(running_address, data_dir)
    return address if address is not None and await answers(address) else None


async def _started(server: EmbeddedPostgres, data_dir: Path) -> str:
    if sys.stderr.isatty():
        sys.stderr.write("llm-proxy: starting the embedded PostgreSQL for this command\n")
    try:
        return await server.start()
    except (NoPostgres, OSError) as error:
        # `serve` may have been quicker.
        if (address := await _running(data_dir)) is not None:
            return address
        raise StoreAway(str(error)) from error


def _has_data(data_dir: Path) -> bool:
    return (data_dir / "postgres/data/PG_VERSION").exists()
