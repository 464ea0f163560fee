"""The shared Redis and PostgreSQL, started where all hosts reach them, and what is asked of them.

Whatever is asked goes over connections of its own and shares no code with what it looks at, but for
the names of keys.
"""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import hiredis
import uvloop

from bench.children import Child, ChildFailed
from bench.hosts import database
from bench.hosts.network import STORE, Network
from bench.measure import cores
from bench.walls_redis import program
from proxy.core.quota import Scope
from proxy.stores.redis.packing import tag

REDIS_PORT = 6379
_READY = 30.0
_PATIENCE = 10.0
_PIECE = 64 * 1024

_ROWS = """
    SELECT key, count(*), count(DISTINCT id), count(*) FILTER (WHERE status = 200),
           coalesce(sum(cost), 0)::bigint
    FROM usage GROUP BY key
"""
_CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Recorded(NamedTuple):
    """What PostgreSQL has of one key: rows, ids that differ, answers of 200, nano-USD."""

    rows: int
    ids: int
    good: int
    cost: int


NOTHING = Recorded(0, 0, 0, 0)


def start_redis(stack: ExitStack, network: Network, folder: Path) -> Child:
    """A server with what a budget needs: it forgets nothing at a restart."""
    folder.mkdir()
    listen = ("--bind", network.address(STORE), "--port", str(REDIS_PORT), "--protected-mode", "no")
    keep = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
    whole = [program(), *listen, *keep, "--dir", str(folder), "--logfile", str(folder / "log")]
    child = Child("redis", network.within(STORE, whole), cores=cores(), program="ip")
    return stack.enter_context(child)


def start_postgres(
    stack: ExitStack, network: Network, folder: Path, python: Sequence[str]
) -> Child:
    """A server with an empty database. Raises ChildFailed."""
    own = ["-m", "bench.hosts.database", "--folder", str(folder), "--host", network.address(STORE)]
    whole = network.within(STORE, [*python, *own])
    child = stack.enter_context(Child("postgres", whole, cores=cores(), program="ip"))
    child.line(_READY)
    return child


class RedisAsked:
    """A connection to the shared Redis, from where the load is."""

    def __init__(self, host: str) -> None:
        try:
            self._socket = socket.create_connection((host, REDIS_PORT), timeout=_PATIENCE)
        except OSError as error:
            raise ChildFailed(f"Redis does not answer: {error}") from error

    def close(self) -> None:
        self._socket.close()

    def ask(self, *words: str) -> Any:
        """The reply to one command. Raises ChildFailed."""
        parts = (b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()) for word in words)
        self._socket.sendall(b"*%d\r\n" % len(words) + b"".join(parts))
        reader = hiredis.Reader()
        while (reply := reader.gets()) is False:
            data = self._socket.recv(_PIECE)
            if not data:
                raise ChildFailed("Redis closed the connection")
            reader.feed(data)
        if isinstance(reply, Exception):
            raise ChildFailed(f"Redis says: {reply}")
        return reply

    def spent(self, key: str) -> int:
        """Of a key's budget for all time: what is spent and held, in nano-USD."""
        name = f"llm-proxy:{{{tag(Scope('key', key))}}}:budget per total"
        reply = self.ask("HGETALL", name)
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return sum(int(value) for field, value in pairs if field.isdigit())

    def connections(self) -> int:
        """Of all hosts: those of clients, but for this one."""
        return int(self._told("clients")["connected_clients"]) - 1

    def script_seconds(self) -> float:
        """What scripts have taken so far, by the server's own clock."""
        fields = self._told("commandstats").get("cmdstat_evalsha", "usec=0").split(",")
        return int(dict(field.split("=") for field in fields)["usec"]) / 1e6

    def _told(self, section: str) -> dict[str, str]:
        lines = self.ask("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


def recorded(host: str) -> dict[str, Recorded]:
    """What PostgreSQL has, by key. Raises ChildFailed."""
    return {row[0]: Recorded(*row[1:]) for row in _query(host, _ROWS)}


def postgres_connections(host: str) -> int:
    """How many the hosts have open now."""
    return int(_query(host, _CONNECTIONS)[0][0])


def _query(host: str, text: str) -> list[Any]:
    async def ask() -> list[Any]:
        connection = await asyncpg.connect(database.address(host), timeout=_PATIENCE)
        try:
            rows: list[Any] = await connection.fetch(text, timeout=_PATIENCE)
            return rows
        finally:
            await connection.close()

    try:
        return uvloop.run(ask())
    except (OSError, asyncpg.PostgresError) as error:
        raise ChildFailed(f"PostgreSQL: {error}") from error
