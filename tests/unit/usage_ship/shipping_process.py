"""A process that ships a spool for ever, to be killed by tests.

python -m tests.unit.usage_ship.shipping_process <spool> <dsn>
"""

import asyncio
import sys
from pathlib import Path

from proxy.stores.postgres.usage import PostgresUsage
from proxy.usage.shipper import Shipper, ShipperOptions


async def main(spool: str, dsn: str) -> None:
    """Small batches, so that there are many moments to be killed at."""
    await Shipper(Path(spool), PostgresUsage(dsn), ShipperOptions(batch=20, poll=0.01)).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
