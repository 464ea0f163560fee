"""A process that follows a spool and writes what it is told, to be killed by tests.

python -m tests.unit.usage_follow.following_process <spool> <position file> <told>
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy.usage import follower as module
from proxy.usage.follower import Follower
from proxy.wire.record_reader import Told


async def main(spool: str, state: str, told: str) -> None:
    """Small pieces, so that there are many moments to be killed at."""
    module._PIECE, module._POLL = 8192, 0.001
    descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(records: Sequence[Told]) -> None:
        for record in records:
            os.write(descriptor, f"{record.id}\n".encode())

    await Follower(Path(spool), Path(state), tell).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
