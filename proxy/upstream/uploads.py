"""Copies a request body that is not held in memory to a connection, at the vendor's pace.

It runs as a task beside the wait for the head of the answer, because a vendor may answer before it
has the whole body. It never fails itself: what goes wrong ends the exchange, and the one who waits
for the answer raises it. A body that is not as long as announced must not reach its end, or the
next request's bytes would be taken for the rest of it.
"""

import asyncio
from collections.abc import AsyncIterator

from proxy.base.errors import InternalError
from proxy.base.tasks import Tasks
from proxy.core.ports import Upload
from proxy.upstream.answer import Outcome
from proxy.upstream.connection import Connection
from proxy.wire.chunked import chunk


async def uploaded(
    body: Upload, connection: Connection, waiter: asyncio.Future[Outcome], tasks: Tasks
) -> Outcome:
    """What comes of the exchange whose body is copied meanwhile. The copying ends before this."""
    task = tasks.spawn(copy(body, connection), name="upload")
    try:
        return await waiter
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def copy(upload: Upload, connection: Connection) -> None:
    """Send all of `upload`; failures go to `connection.fail`."""
    pieces = aiter(upload)
    try:
        if upload.length is None:
            await _chunked(pieces, connection)
        else:
            await _counted(pieces, upload.length, connection)
        connection.end_upload()
    except Exception as error:  # noqa: BLE001 - raised again, as it is, by send().
        connection.fail(error)
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


async def _chunked(pieces: AsyncIterator[bytes], connection: Connection) -> None:
    async for piece in pieces:
        if not connection.uploading:
            return
        if piece:
            await connection.write_piece(chunk(piece))
    if connection.uploading:
        await connection.write_piece(b"0\r\n\r\n")


async def _counted(pieces: AsyncIterator[bytes], length: int, connection: Connection) -> None:
    left = length
    async for piece in pieces:
        if not connection.uploading:
            return
        left -= len(piece)
        if left < 0:
            raise InternalError("the request body is longer than its Content-Length")
        await connection.write_piece(piece)
    if left:
        raise InternalError("the request body is shorter than its Content-Length")
