"""A body that is still coming: as pieces, as a whole, or passed over.

Apart from `Arrival`, which is compiled: mypyc has no asynchronous generators, and what it makes of
an `async with` is not trusted (docs/adr/0021-compiled.md).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol


class Coming(Protocol):
    """An Arrival."""

    def begin(self, limit: int) -> None: ...
    def next(self, limit: int) -> bytes | None: ...
    def drop(self) -> bool: ...
    def more(self) -> asyncio.Future[None]: ...


async def chunks(body: Coming, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises TooLarge, BadRequest (broken framing), SlowRequest."""
    body.begin(limit)
    while (piece := body.next(limit)) is not None:
        if piece:
            yield piece
        else:
            await body.more()


async def whole(body: Coming, limit: int) -> bytes:
    """All of it. Raises like `chunks`."""
    pieces = [piece async for piece in chunks(body, limit)]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def passed_over(body: Coming, patience: float) -> bool:
    """Let what still comes of it go by, until its end or its failure. Whether that came within so
    many seconds."""
    try:
        async with asyncio.timeout(patience):
            while body.drop():
                await body.more()
    except TimeoutError:
        return False
    return True
