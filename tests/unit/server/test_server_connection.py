"""A connection of aiohttp's server: who is gone is written nothing, however it went."""

import asyncio
from collections.abc import Callable

import pytest

from proxy.server.connection import Connection
from proxy.server.connections import AiohttpConnections
from proxy.server.ports import Request


class Kept(asyncio.Transport):
    """Keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        """There is nothing to close."""

    def is_closing(self) -> bool:
        return False


async def nobody(_: Request) -> None:
    """Serves nothing."""


@pytest.mark.parametrize("end", [Connection.force_close, lambda it: it.connection_lost(None)])
async def test_who_is_gone_is_written_nothing(end: Callable[[Connection], None]) -> None:
    connection, transport = AiohttpConnections(nobody)(), Kept()
    connection.connection_made(transport)
    connection.writer.write(b"one")
    end(connection)
    connection.writer.write(b"two")
    assert transport.written == [b"one"]
    connection.connection_lost(None)
    await asyncio.sleep(0)
