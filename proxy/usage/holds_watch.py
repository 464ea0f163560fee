"""Control's side of holds: those of workers that die become records within a second or so.

A worker that takes the place of a dead one does the same before it counts (build/balances.py); with
Redis, or where none follows, nobody else would.
"""

import asyncio
import logging
from pathlib import Path

from proxy.usage.holds_taken import take_over

log = logging.getLogger("llm-proxy.holds")

_EVERY = 1.0


async def watch_holds(spool: Path) -> None:
    """Take over what dead workers held, for ever."""
    trouble: str | None = None
    while True:
        try:
            _ = await asyncio.to_thread(take_over, spool)
        except OSError as error:
            if trouble != str(error):
                log.error("holds of dead workers cannot be taken over: %s", error)  # noqa: TRY400
            trouble = str(error)
        else:
            trouble = None
        await asyncio.sleep(_EVERY)
