"""Redis Cluster: which server counts what, learnt from the cluster and from its redirections.

A `Seat` is where the counts of one scope live; it is moved to another server when the cluster says
so, and all that concerns them follows. Each server is kept connected by a task of its own.
"""

import asyncio
import logging
from binascii import crc_hqx
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

from proxy.base.tasks import Tasks
from proxy.stores.redis.address import Address, Endpoint
from proxy.stores.redis.dial import NoRedis, Ready, ask, dial
from proxy.stores.redis.node import Node, Seat

log = logging.getLogger("llm-proxy.redis")

SLOTS = 16384
_REFRESH = 15.0
_HASTE = 0.2
_PATIENCE = 3.0


def slot_of(tag: str) -> int:
    """The slot of keys that have this between braces."""
    return crc_hqx(tag.encode(), 0) % SLOTS


class Cluster:
    """The servers of a cluster."""

    def __init__(self, address: Address, deadline: float) -> None:
        self._address = address
        self._deadline = deadline
        self._tasks = Tasks()
        self._nodes: dict[Endpoint, Node] = {}
        self._owners: list[Node] = []
        self._seats: WeakSet[Seat] = WeakSet()
        self._changed = asyncio.Event()
        self._reason = ""
        self._nowhere = Node(_never, "no server of the cluster known yet")

    def seat(self, tag: str) -> Seat:
        """Where what has this tag is counted."""
        slot = slot_of(tag)
        seat = Seat(self._owners[slot] if self._owners else self._nowhere, slot)
        self._seats.add(seat)
        return seat

    def failing(self) -> str | None:
        """Why some counts cannot be reached, or None."""
        if not self._owners:
            return f"no server of the Redis cluster at {self._address.endpoints[0]} was found yet"
        for node in set(self._owners):
            if (reason := node.failing()) is not None:
                return reason
        return None

    def nodes(self) -> list[Node]:
        """All servers that count."""
        return list(self._nodes.values())

    async def keep(self) -> None:
        """Know the cluster, until cancelled."""
        try:
            while True:
                await self._learn()
                if not self._owners:
                    await asyncio.sleep(_HASTE)
                    continue
                look = asyncio.get_running_loop().call_later(_REFRESH, self._changed.set)
                _ = await self._changed.wait()
                look.cancel()
                self._changed.clear()
                await asyncio.sleep(_HASTE)  # One look for many redirections.
        finally:
            await self._tasks.cancel()

    async def _learn(self) -> None:
        known = [endpoint for endpoint, node in self._nodes.items() if node.usable]
        for endpoint in (*known, *(e for e in self._address.endpoints if e not in known)):
            try:
                self._adopt(await self._slots(endpoint), endpoint)
            except NoRedis as error:
                self._note(str(error))
            else:
                self._reason = ""
                return

    def _note(self, reason: str) -> None:
        if reason != self._reason:
            log.warning("Redis cluster: %s", reason)
        self._reason = reason

    async def _slots(self, endpoint: Endpoint) -> Any:
        ready = await dial(self._address, endpoint, self._deadline, _not_minded)
        try:
            async with asyncio.timeout(_PATIENCE):
                return await ask(ready.link, b"CLUSTER", b"SLOTS")
        except TimeoutError as error:
            raise NoRedis(f"{endpoint} does not answer") from error
        finally:
            ready.link.close("asked")

    def _adopt(self, table: Any, asked: Endpoint) -> None:
        owners: list[Node | None] = [None] * SLOTS
        for first, last, primary, *_ in table:
            endpoint = Endpoint((primary[0] or b"").decode() or asked.host, primary[1])
            owners[first : last + 1] = [self._node(endpoint)] * (last - first + 1)
        self._owners = [node or self._nowhere for node in owners]
        used = set(self._owners)
        for endpoint, node in list(self._nodes.items()):
            if node not in used:
                node.close()
                del self._nodes[endpoint]
        for seat in list(self._seats):
            self._place(seat, self._owners[seat.slot or 0])

    def _place(self, seat: Seat, node: Node) -> None:
        former, seat.node = seat.node, node
        if former is not node:
            former.hand_over()

    def _node(self, endpoint: Endpoint) -> Node:
        node = self._nodes.get(endpoint)
        if node is None:

            async def dial_it(on_lost: Callable[[str], None]) -> Ready:
                try:
                    return await dial(self._address, endpoint, self._deadline, on_lost)
                except NoRedis:
                    self._changed.set()  # Another may count now what this one did.
                    raise

            node = self._nodes[endpoint] = Node(dial_it, str(endpoint))
            node.moved = self._moved
            _ = self._tasks.spawn(node.keep(), name=f"redis {endpoint}")
        return node

    def _moved(self, text: str) -> bool:
        """`MOVED 3999 127.0.0.1:6381`: follow, and look at the whole."""
        self._changed.set()
        _, slot, where = text.split(" ")[:3]
        host, _, port = where.rpartition(":")
        node = self._node(Endpoint(host or self._address.endpoints[0].host, int(port)))
        if self._owners:
            self._owners[int(slot)] = node
        for seat in list(self._seats):
            if seat.slot == int(slot):
                self._place(seat, node)
        return True


def _never(_: Callable[[str], None]) -> Awaitable[Ready]:
    raise NoRedis("this server does not exist")


def _not_minded(reason: str) -> None:
    """The end of a connection that was for one question."""
