"""Writes the access log beside the loop: who reads it slowly, or not at all, holds nothing up.

Lines wait, bounded; while nobody reads the oldest are dropped and counted. They are also in the
store, so nothing is lost that was promised.
"""

import asyncio
import logging
from collections import deque
from typing import BinaryIO

from proxy.telemetry.access import access_line
from proxy.wire.lots import spelled_out
from proxy.wire.record_reader import Told

log = logging.getLogger("llm-proxy.access")

_MOST_WAITING = 20_000
_AT_ONCE = 500


class AccessLog:
    """One line for each record, to a stream that may block."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: deque[Told] = deque(maxlen=_MOST_WAITING)
        self._news = asyncio.Event()
        self.dropped = 0

    def tell(self, record: Told) -> None:
        """Have the line written soon."""
        if len(self._waiting) == _MOST_WAITING:
            self.dropped += 1
        self._waiting.append(record)
        self._news.set()

    async def run(self) -> None:
        """Write, for ever. Cancel it."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write what waits."""
        while self._waiting:
            some = min(_AT_ONCE, len(self._waiting))
            lines = [self._waiting.popleft() for _ in range(some)]
            await asyncio.to_thread(self._write, lines)

    def _write(self, records: list[Told]) -> None:
        try:
            self._stream.write(b"".join(map(access_line, spelled_out(records))))
            self._stream.flush()
        except OSError as error:  # Nobody will ever read it again.
            self.dropped += len(records)
            log.debug("the access log cannot be written: %s", error)
