"""Open breakers, told to all workers of all hosts through one hash in Redis.

    <prefix>:{breakers}     name → until when it is open, by the server's clock in ms, and why

Whose breaker opens writes it; everybody reads all of them twice a second, beside the requests. A
deadline is never replaced by an earlier one. It is news and no truth: while Redis is away each
worker has its own breakers, and what could not be told is told late, when it may mean nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from proxy.stores.redis.address import Address, parse
from proxy.stores.redis.cluster import Cluster
from proxy.stores.redis.commands import command
from proxy.stores.redis.dial import NoRedis, Ready, ask, dial
from proxy.stores.redis.node import Node, Seat
from proxy.stores.redis.sentinel import dial_primary

log = logging.getLogger("llm-proxy.redis")

_DEADLINE = 0.5
EVERY = 0.5
_PATIENCE = 2.0
_OVER = 60.0
"""Seconds after which what is over is taken away, should its own worker be gone."""

_OPEN = b"""
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old or tonumber(string.match(old, '^%d+')) < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
end
return redis.call('EXPIRE', KEYS[1], 86400)
"""

Heard = Mapping[bytes, tuple[float, str]]
"""By name: for how many seconds from now, and why."""


class RedisBreakers:
    """`hear` is called with all that are open, each time they were read."""

    def __init__(
        self,
        url: str,
        hear: Callable[[Heard], None],
        *,
        prefix: str = "llm-proxy",
        every: float = EVERY,
    ) -> None:
        self._address: Address = parse(url)
        self._hear = hear
        self._every = every
        self._key = f"{prefix}:{{breakers}}".encode()
        self._cluster: Cluster | None = None
        if self._address.kind == "cluster":
            self._cluster = Cluster(self._address, _DEADLINE)
            self._seat = self._cluster.seat("breakers")
        else:
            self._seat = Seat(Node(self._dial, str(self._address.endpoints[0])))

    def opened(self, name: bytes, seconds: float, cause: str) -> None:
        """It is open for so long."""
        if not self._seat.node.begun.is_set():
            return  # The server's clock is not known, and nobody listens yet.
        until = b"%d" % round(1000 * (self._now() + seconds))
        self._seat.tell(
            "plain", command(b"EVAL", _OPEN, b"1", self._key, name, until, cause.encode())
        )

    def closed(self, name: bytes) -> None:
        """It is closed again."""
        if self._seat.node.begun.is_set():
            self._seat.tell("plain", command(b"HDEL", self._key, name))

    async def run(self) -> None:
        """Stay connected and read, until cancelled."""
        async with asyncio.TaskGroup() as group:
            keep = self._seat.node.keep if self._cluster is None else self._cluster.keep
            _ = group.create_task(keep())
            _ = group.create_task(self._listen())

    async def connected(self) -> None:
        """Return when the server was reached."""
        _ = await self._seat.node.begun.wait()

    async def close(self) -> None:
        """Send what waits, and let go."""
        nodes = [self._seat.node] if self._cluster is None else self._cluster.nodes()
        for node in nodes:
            await node.drain(_DEADLINE)
            node.close()

    async def _listen(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            link = self._seat.node.link
            if link is None:
                continue
            try:
                async with asyncio.timeout(_PATIENCE):
                    rows = await ask(link, b"HGETALL", self._key)
            except (NoRedis, TimeoutError) as error:
                log.debug("open breakers of others cannot be read: %s", error)
            else:
                self._hear(self._read(rows))

    def _read(self, rows: Sequence[bytes]) -> Heard:
        now = self._now()
        heard: dict[bytes, tuple[float, str]] = {}
        for name, value in zip(rows[::2], rows[1::2], strict=True):
            until, _, cause = value.partition(b" ")
            left = int(until) / 1000 - now if until.isdigit() else -_OVER
            if left > 0:
                heard[name] = left, cause.decode("utf-8", "replace")
            elif left <= -_OVER:
                self.closed(name)
        return heard

    def _now(self) -> float:
        """By the server's clock, in seconds."""
        return asyncio.get_running_loop().time() + self._seat.node.clock_ahead

    async def _dial(self, on_lost: Callable[[str], None]) -> Ready:
        if self._address.kind == "sentinel":
            return await dial_primary(self._address, _DEADLINE, on_lost)
        return await dial(self._address, self._address.endpoints[0], _DEADLINE, on_lost)
