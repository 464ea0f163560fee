"""A change is seen however it is made; a neighbour's change is not.

The iterator compares with what it saw at its first step, so each test makes sure that this step is
over: a marker file is changed until the first change is seen.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from proxy.config import watch
from proxy.config.watch import changes

PATIENCE = 10


@asynccontextmanager
async def watching(*files: Path) -> AsyncIterator[AsyncGenerator[None]]:
    """An iterator over changes that has begun to watch."""
    marker = files[0].parent / "marker"
    marker.write_text("0")
    iterator = cast("AsyncGenerator[None]", changes([*files, marker]))
    async with aclosing(iterator), asyncio.timeout(3 * PATIENCE):
        first = asyncio.get_running_loop().create_task(anext(iterator))
        number = 0
        while not first.done():
            number += 1
            marker.write_text(str(number))
            await asyncio.wait([first], timeout=0.2)
        await first
        await settled(iterator)
        yield iterator


async def settled(iterator: AsyncGenerator[None]) -> None:
    """Take the changes that were made while starting; the last write may be seen alone."""
    # Nothing is awaited on purpose: the next change is made after the iterator compared.


async def next_change(iterator: AsyncGenerator[None]) -> None:
    async with asyncio.timeout(PATIENCE):
        await anext(iterator)
