"""Transactions that end at once when they cannot end well.

asyncpg's own says ROLLBACK and waits for the answer also when it was cancelled: over a link that is
stalled, or to a server that hangs, for ever. Here a connection that was left in the middle, by a
cancellation, a deadline or a broken protocol, is dropped; the server rolls back by itself.
"""

import contextlib
from collections.abc import AsyncIterator

import asyncpg


@contextlib.asynccontextmanager
async def transaction(connection: asyncpg.Connection, settings: str = "") -> AsyncIterator[None]:
    """BEGIN, with `SET LOCAL` if given; then COMMIT, or ROLLBACK after an error of SQL."""
    try:
        await connection.execute(f"BEGIN ISOLATION LEVEL READ COMMITTED; {settings}")
        try:
            yield
        except asyncpg.PostgresError:
            await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
    except asyncpg.PostgresError:
        raise
    except BaseException:
        connection.terminate()
        raise
