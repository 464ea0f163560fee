"""Make a connection that is ready: TLS, user, database, and the scripts.

The server is asked who it is: a replica is refused, for what it would count is lost. Its clock is
read too, so that the first call has the right idea of the time.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import hiredis

from proxy.stores.redis.address import Address, Endpoint
from proxy.stores.redis.commands import Scripts, command, scripts
from proxy.stores.redis.link import Link

_TIMEOUT = 3.0


class NoRedis(Exception):
    """There is no server that can be used. The message says why."""


class Ready(NamedTuple):
    """A connection that can be used."""

    link: Link
    scripts: Scripts
    clock: float  # The server's clock in seconds, as it was asked.


class Single:
    """Waits for one reply."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def answer(self, reply: Any) -> None:
        if not self._future.done():
            self._future.set_result(reply)

    def late(self) -> None:
        pass  # Whoever asks in this way has a deadline of their own.

    def lost(self) -> None:
        if not self._future.done():
            self._future.set_exception(NoRedis("the connection was closed"))

    async def reply(self) -> Any:
        """The reply. Raises NoRedis, also for a reply that is an error."""
        reply = await self._future
        if isinstance(reply, hiredis.ReplyError):
            raise NoRedis(str(reply))
        return reply


async def ask(link: Link, *words: bytes) -> Any:
    """The reply to one command. Raises NoRedis."""
    return (await ask_all(link, [command(*words)]))[0]


async def ask_all(link: Link, commands: Sequence[bytes]) -> list[Any]:
    """The replies to commands that are sent together. Raises NoRedis."""
    waiting = [Single() for _ in commands]
    for each, waiter in zip(commands, waiting, strict=True):
        link.send(each, waiter)
    # All of them, even if the first fails: nobody else takes their exceptions.
    replies = await asyncio.gather(*(each.reply() for each in waiting), return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
    return replies


async def dial(
    address: Address, endpoint: Endpoint, deadline: float, on_lost: Callable[[str], None]
) -> Ready:
    """A connection to a server that counts. Raises NoRedis."""
    link = await connect(address, endpoint, deadline, on_lost)
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await _greet(link, address)
    except BaseException as error:
        link.close("not usable")
        if isinstance(error, TimeoutError):
            raise NoRedis(f"{endpoint} does not answer") from error
        if isinstance(error, NoRedis):
            raise NoRedis(f"{endpoint}: {error}") from error
        raise


async def connect(
    address: Address, endpoint: Endpoint, deadline: float, on_lost: Callable[[str], None]
) -> Link:
    """A connection on which nothing was said yet. Raises NoRedis."""
    loop = asyncio.get_running_loop()

    def make() -> Link:
        return Link(deadline, on_lost)

    try:
        async with asyncio.timeout(_TIMEOUT):
            if not endpoint.port:
                return (await loop.create_unix_connection(make, endpoint.host))[1]
            context = await asyncio.to_thread(ssl.create_default_context) if address.tls else None
            return (await loop.create_connection(make, endpoint.host, endpoint.port, ssl=context))[
                1
            ]
    except TimeoutError as error:
        raise NoRedis(f"{endpoint} does not answer") from error
    except OSError as error:
        raise NoRedis(f"{endpoint}: {error}") from error


async def _greet(link: Link, address: Address) -> Ready:
    password = address.password.reveal()
    if password:
        words = [address.user, password] if address.user else [password]
        _ = await ask(link, b"AUTH", *(word.encode() for word in words))
    if address.database:
        _ = await ask(link, b"SELECT", b"%d" % address.database)
    if address.kind != "cluster" and b"cluster_enabled:1" in await ask(link, b"INFO", b"cluster"):
        raise NoRedis("it is a cluster: write redis+cluster://")
    role = await ask(link, b"INFO", b"replication")
    if b"role:slave" in role:
        raise NoRedis("it is a replica: name its primary, or use redis+sentinel://")
    known = await asyncio.to_thread(scripts)
    _ = await ask_all(link, known.load)
    clock = await ask(link, b"TIME")
    return Ready(link, known, int(clock[0]) + int(clock[1]) / 1e6)
