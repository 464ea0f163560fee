"""`llm-proxy migrate`: bring the schema of the configured store up to date.

`serve` does so by itself; this is for whoever wants it done before, or by another user.
"""

import asyncio
import sys
from pathlib import Path

from proxy.cli.configured import BAD_CONFIGURATION, settings_of
from proxy.cli.store import store_address
from proxy.config.settings import Settings
from proxy.core.accounting import StoreAway
from proxy.stores.postgres.sessions import bring_up_to_date


def migrate(config: Path | None, environment: str | None) -> int:
    """Apply what is missing and print it. 1: the store cannot be used; 2: bad configuration."""
    settings = settings_of(config, environment)
    if settings is None:
        return BAD_CONFIGURATION
    try:
        applied = asyncio.run(_migrate(settings))
    except StoreAway as error:
        sys.stderr.write(f"llm-proxy: the store cannot be migrated: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.writelines(f"applied {name}\n" for name in applied)
    if not applied:
        sys.stdout.write("the schema is up to date\n")
    return 0


async def _migrate(settings: Settings) -> list[str]:
    async with store_address(settings, make=True) as address:
        return await bring_up_to_date(address)
