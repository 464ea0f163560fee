"""Connections for those who read, or who work beside the service: one each, closed afterwards.

Statements are never prepared under a name, so a transaction pooler in between does no harm. What
PostgreSQL and the network say becomes StoreAway, around each question and nowhere else: an error
of whoever uses a session is not the store's.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator

import asyncpg

from proxy.base.redact import redact
from proxy.core.accounting import StoreAway
from proxy.stores.postgres.migrate import MigrationRefused, migrate

log = logging.getLogger("llm-proxy.postgres")

_CONNECT = 10.0
_FAREWELL = 2.0
_AWAY = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # A server that dies between two messages confuses asyncpg.
    OSError,
)
_NO_TABLES = "it has no tables for usage yet; `llm-proxy migrate` makes them"


@contextlib.asynccontextmanager
async def session(
    dsn: str, answer_within: float | None = None
) -> AsyncIterator[asyncpg.Connection]:
    """A connection. Raises StoreAway when there is none to be had. `answer_within`: seconds after
    which one question is given up, for a server that hangs keeps no deadline of its own."""
    with questions():
        connection = await asyncpg.connect(
            dsn, timeout=_CONNECT, command_timeout=answer_within, statement_cache_size=0
        )
    try:
        yield connection
    finally:
        try:
            await connection.close(timeout=_FAREWELL)
        except _AWAY as error:
            connection.terminate()
            log.debug("closing a connection: %s", error)


@contextlib.contextmanager
def questions() -> Iterator[None]:
    """Around what is asked of PostgreSQL: its errors as StoreAway."""
    try:
        yield
    except asyncpg.UndefinedTableError as error:
        raise StoreAway(_NO_TABLES) from error
    except _AWAY as error:
        raise StoreAway(_words(error)) from error


async def answers(dsn: str) -> bool:
    """Whether a server answers there."""
    try:
        async with session(dsn):
            return True
    except StoreAway:
        return False


async def bring_up_to_date(dsn: str) -> list[str]:
    """Apply the migrations that are missing; return their names. Raises StoreAway."""
    async with session(dsn) as connection:
        with questions():
            try:
                return await migrate(connection)
            except MigrationRefused as error:
                raise StoreAway(str(error)) from error


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    # DETAIL may hold what a caller wrote, and a refused address its password.
    said = str(error).partition("\n")[0] or type(error).__name__
    return redact(said)[:500]
