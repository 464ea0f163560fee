"""Calls that block, made in threads, one after another: who has an SQLite connection has it alone.

A task that is cancelled does not stop the thread it waits for. So the next call, and whoever wants
to close what is used there, waits until that is done.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class InTurn:
    """Makes calls in threads, never two at once."""

    __slots__ = ("_call", "_turn")

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._call: asyncio.Future[Any] | None = None

    async def __call__(self, work: Callable[[], T]) -> T:
        """What `work` returns, or raises."""
        async with self._turn:
            await self._rest()
            call = self._call = asyncio.get_running_loop().run_in_executor(None, work)
            return await asyncio.shield(call)

    async def _rest(self) -> None:
        """Wait for a call that nobody waits for any more."""
        if self._call is not None and not self._call.done():
            await asyncio.wait((self._call,))
        if self._call is not None and not self._call.cancelled():
            _ = self._call.exception()  # It was told to whoever waited, or nobody wants it.
