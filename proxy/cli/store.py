"""The store for a command that runs beside the service, or without it.

`store: embedded` belongs to control while `llm-proxy serve` runs; then its server is used. Else it
is started for as long as the command takes; a `serve` that is started meanwhile waits for that and
takes over at once.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from proxy.base.clock import monotonic
from proxy.base.secret import Secret
from proxy.config.settings import Settings
from proxy.core.accounting import StoreAway
from proxy.stores.postgres.cluster import running_address
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.programs import InUse, NoPostgres
from proxy.stores.postgres.sessions import answers

_LOOK = 0.1  # Seconds between two looks who has the server.
_PATIENCE = 30.0  # It may recover from a crash.
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
    server = EmbeddedPostgres(data_dir, patience=_LOOK)
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
    until = monotonic() + _PATIENCE
    while True:
        try:
            return await server.start()
        except InUse as error:
            # `serve` was quicker, or ends just now.
            if (address := await _running(data_dir)) is not None:
                return address
            if monotonic() >= until:
                raise StoreAway(str(error)) from error
        except (NoPostgres, OSError) as error:
            raise StoreAway(str(error)) from error


def _has_data(data_dir: Path) -> bool:
    return (data_dir / "postgres/data/PG_VERSION").exists()
