"""One connection of who reads: what a server that hangs does to it."""

import asyncio

import pytest

from proxy.core.accounting import StoreAway
from proxy.stores.postgres.sessions import questions, session
from tests.fakes.postgres import tcp_door, through
from tests.fakes.tcp import TcpProxy


async def test_a_server_that_hangs_is_given_up(postgres: str) -> None:
    async with tcp_door(postgres) as port, TcpProxy(port) as link, asyncio.timeout(10):
        with pytest.raises(StoreAway, match="does not answer in time"):
            async with session(through(postgres, link.port), answer_within=0.2) as connection:
                link.stall()
                with questions():
                    await connection.fetchval("SELECT 1")
        link.flow()
        async with session(through(postgres, link.port), answer_within=5.0) as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_server_that_says_farewell_and_stays_on_the_line_is_away(postgres: str) -> None:
    """A backend that is ended says so first. Until the connection closes asyncpg waits for more,
    and tells whoever asks meanwhile that it made a mistake."""
    farewell = b"SFATAL\0C57P01\0Mterminating connection\0\0"
    async with (
        asyncio.timeout(10),
        tcp_door(postgres) as port,
        TcpProxy(port) as link,
        session(through(postgres, link.port)) as connection,
    ):
        link.say(b"E" + (len(farewell) + 4).to_bytes(4, "big") + farewell)
        with pytest.raises(StoreAway, match="another operation"):
            while True:
                await asyncio.sleep(0.01)
                with questions():
                    await connection.fetchval("SELECT 1")
