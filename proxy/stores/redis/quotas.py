"""The store: quotas bound to Redis, and the work that goes on beside the requests.

Grants that hold slots are renewed every third of a lease, some in each turn of the loop. A lease
that is not renewed ends by the server's clock. Money needs none: a hold counts until it is settled
or corrected, so that of a dead worker is charged in full from the moment it was taken.
"""

import asyncio
import contextlib
from collections.abc import Callable

from proxy.core.quota import (
    Demand,
    Grant,
    Level,
    Quota,
    QuotaUnknown,
    Rule,
    Standing,
    standing_of,
)
from proxy.stores.redis.address import Address, parse
from proxy.stores.redis.cluster import Cluster
from proxy.stores.redis.commands import bulk
from proxy.stores.redis.dial import Ready, dial
from proxy.stores.redis.grants import Group, Question
from proxy.stores.redis.node import Node, Seat
from proxy.stores.redis.open_holds import of_cluster, of_one_server
from proxy.stores.redis.packing import Packing, tag
from proxy.stores.redis.pairs import PairQuestion
from proxy.stores.redis.sentinel import dial_primary
from proxy.stores.redis.spread import Correction, Indices, Share, SpreadQuota

DEADLINE = 0.05
LEASE = 30.0
_AT_ONCE = 64
_DRAIN = 0.5


class RedisQuotas:
    """A `QuotaStore` in Redis. `clock` stands for the server's where windows are meant."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "llm-proxy",
        deadline: float = DEADLINE,
        lease: float = LEASE,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._address: Address = parse(url)
        self._prefix = prefix
        self._deadline = deadline
        self._lease = lease
        self._clock = clock
        self._live: dict[bytes, Seat] = {}
        self._cluster = (
            Cluster(self._address, deadline) if self._address.kind == "cluster" else None
        )
        self._seat = Seat(Node(self._dial, str(self._address.endpoints[0])))

    @property
    def node(self) -> Node:
        """The one server, where it is one."""
        return self._seat.node

    def bind(self, rules: tuple[Rule, ...]) -> Quota:
        if len({rule.key for rule in rules}) < len(rules):
            raise ValueError("the same rule is in this quota twice")
        if not rules:
            return Unlimited()
        if self._cluster is None:
            return RedisQuota(rules, self._group(rules, self._seat), self._record_prefix())
        tags: dict[str, list[int]] = {}
        for place, rule in enumerate(rules):
            tags.setdefault(tag(rule.scope), []).append(place)
        shares = tuple(
            Share(each, tuple(places), self._share(each, rules, places), self._prefix)
            for each, places in tags.items()
        )
        return SpreadQuota(rules, shares, Indices(self._cluster.seat, self._prefix))

    def correct(self, id: str, money: int) -> None:
        if self._cluster is None:
            record = bulk(self._record_prefix() + id.encode())
            self._seat.tell("finish", record + bulk(b"correct %d" % money))
            return
        seat_of = self._cluster.seat
        index = Indices(seat_of, self._prefix).of(id)
        index.seat.node.state(Correction(index, id, money, seat_of=seat_of, prefix=self._prefix))

    async def connected(self, patience: float) -> None:
        """Return when the server was reached, or after so many seconds. Of a cluster at once: its
        servers are found one by one."""
        if self._cluster is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    _ = await self._seat.node.begun.wait()

    async def unsettled(self, seconds: float) -> tuple[str, ...]:
        """See OpenHolds. Of a cluster it is not known how old they are."""
        if self._cluster is not None:
            return tuple(await of_cluster(self._nodes(), self._prefix))
        return tuple(await of_one_server(self._seat.node, self._record_prefix(), seconds))

    def failing(self) -> str | None:
        return self._seat.node.failing() if self._cluster is None else self._cluster.failing()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            keep = self._seat.node.keep if self._cluster is None else self._cluster.keep
            _ = group.create_task(keep())
            _ = group.create_task(self._renew())

    async def close(self) -> None:
        await self._drain(_DRAIN)
        for node in self._nodes():
            node.close()

    async def settled(self) -> None:
        """Return when all that was said so far is known to Redis, or cannot be for now."""
        await self._drain(10 * _DRAIN)

    def _nodes(self) -> list[Node]:
        return [self._seat.node] if self._cluster is None else self._cluster.nodes()

    async def _drain(self, seconds: float) -> None:
        _ = await asyncio.gather(*(node.drain(seconds) for node in self._nodes()))

    async def _dial(self, on_lost: Callable[[str], None]) -> Ready:
        if self._address.kind == "sentinel":
            return await dial_primary(self._address, self._deadline, on_lost)
        return await dial(self._address, self._address.endpoints[0], self._deadline, on_lost)

    def _record_prefix(self) -> bytes:
        return f"{self._prefix}:grant:".encode()

    def _group(self, rules: tuple[Rule, ...], seat: Seat) -> Group:
        return Group(seat, Packing(rules, self._prefix, self._lease), self._live, self._clock)

    def _share(self, tag: str, rules: tuple[Rule, ...], places: list[int]) -> Group:
        assert self._cluster is not None
        return self._group(tuple(rules[place] for place in places), self._cluster.seat(tag))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            for i, (record, seat) in enumerate(list(self._live.items())):
                if record in self._live:
                    seat.tell("renew", record)
                if i % _AT_ONCE == _AT_ONCE - 1:
                    await asyncio.sleep(0)


class RedisQuota:
    """Rules that one server counts."""

    __slots__ = ("_group", "_prefix", "rules")

    def __init__(self, rules: tuple[Rule, ...], group: Group, prefix: bytes) -> None:
        self.rules = rules
        self._group = group
        self._prefix = prefix

    async def take(self, demand: Demand) -> Grant:
        question = Question(self._group, self._record(demand), demand)
        question.send()
        future = question.future
        try:
            return await future
        except asyncio.CancelledError:
            question.abandon()  # It may have been granted in the very turn in which they went.
            raise

    async def take_both(
        self, demand: Demand, other: Quota, other_demand: Demand
    ) -> tuple[Grant, Grant] | None:
        """See JoinedQuota."""
        seat = self._group.seat
        if not isinstance(other, RedisQuota) or other._group.seat is not seat:
            return None
        if not seat.node.usable:
            raise QuotaUnknown(seat.node.failing() or "Redis cannot be asked")
        question = PairQuestion(
            (self._group, other._group), (self._record(demand), self._record(other_demand))
        )
        question.send(demand, other_demand)
        try:
            return await question.future
        except asyncio.CancelledError:
            question.abandon()
            raise

    def _record(self, demand: Demand) -> bytes:
        record = self._prefix + demand.id.encode()
        return b"$%d\r\n%b\r\n" % (len(record), record)


class Unlimited:
    """No rules: everything is granted, and nobody asked."""

    __slots__ = ()

    rules: tuple[Rule, ...] = ()

    async def take(self, demand: Demand) -> Grant:
        return FreeGrant(demand.money)


class FreeGrant:
    """A grant of everything."""

    __slots__ = ("_ended", "money")

    def __init__(self, money: int) -> None:
        self.money = money
        self._ended = False

    def levels(self) -> tuple[Level, ...]:
        return ()

    def standing(self) -> Standing:
        return standing_of(())

    async def grow(self, money: int) -> int:
        if self._ended:
            return 0
        self.money += money
        return money

    def settle(self, tokens: int, money: int) -> None:
        self._ended = True

    def cancel(self) -> None:
        self._ended = True
