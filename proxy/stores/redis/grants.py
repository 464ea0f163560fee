"""One question and what comes of it: a grant, a denial, or nobody knows.

Whoever asked may have gone when the answer comes, or the answer may never come. Then what may have
been taken is given back by a statement that is kept until it is heard; it also forbids the id, for
the question may still be on its way. A grant's end is such a statement too.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import hiredis

from proxy.core.quota import (
    Demand,
    Level,
    QuotaExceeded,
    QuotaUnknown,
    Standing,
)
from proxy.stores.redis.commands import bulk
from proxy.stores.redis.levels import Told, denial, levels, standing
from proxy.stores.redis.node import Seat
from proxy.stores.redis.packing import MOST, Packed, Packing

_MOST_TRIES = 6
_TOO_LATE = 1000
"""Milliseconds after which a question is not to be answered any more."""

FORGET = bulk(b"forget")
CANCEL = bulk(b"cancel")


class Group:
    """Rules that are counted in one place, and what all questions about them share."""

    __slots__ = ("clock", "live", "packing", "seat")

    def __init__(
        self,
        seat: Seat,
        packing: Packing,
        live: dict[bytes, Seat],
        clock: Callable[[], float] | None,
    ) -> None:
        self.seat = seat
        self.packing = packing
        self.live = live  # Records of grants that hold slots, to be renewed.
        self.clock = (
            clock  # Stands for the server's where windows are meant; None: it is the server's.
        )

    def grant(self, record: bytes, money: int, packed: Packed, told: Told) -> "RedisGrant":
        """What was given."""
        grant = RedisGrant(self, record, money)
        grant.packed = packed
        grant.told = told
        if self.packing.slots:
            self.live[record] = self.seat
        return grant


def asked_for(demand: Demand, now: int, at: int, floor: int) -> bytes:
    """What the script is told of a demand, in milliseconds of the server. `at`: what stands for its
    clock where windows are meant, 0: it does; `floor`: it is not before that."""
    _, tokens, money, least = demand
    said = b"%d %d %d %d %d %d" % (
        tokens if tokens < MOST else MOST,
        money if money < MOST else MOST,
        min(least, money, MOST),
        now + _TOO_LATE,
        at,
        floor,
    )
    return b"$%d\r\n%b\r\n" % (len(said), said)


class Question:
    """Waits for the answer to one demand. `future`: the grant, QuotaExceeded or QuotaUnknown."""

    __slots__ = ("_demand", "_floor", "_group", "_packed", "_record", "_tries", "future")

    def __init__(self, group: Group, record: bytes, demand: Demand) -> None:
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[RedisGrant] = loop.create_future()
        self._group = group
        self._record = record
        self._demand = demand
        self._floor = 0
        self._tries = 0
        self._packed: Packed

    def send(self) -> None:
        """Ask, or say that nobody can be asked."""
        group = self._group
        node = group.seat.node
        link = node.link
        if link is None or link.stalled:
            self._unknown(node.failing() or "Redis cannot be asked")
            return
        now = int(1000 * (self.future.get_loop().time() + node.clock_ahead))
        at = 0 if group.clock is None else int(1000 * group.clock())
        self._packed = packed = group.packing.at(max(at or now, self._floor))
        asked = asked_for(self._demand, now, at, self._floor)
        link.send(node.scripts.take + self._record + packed.argument + asked, self)

    def answer(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            if self._group.seat.node.understood(reply):
                self._again()
            else:
                self._unknown(f"Redis refuses: {reply}")
            return
        self._group.seat.node.heard()
        kind, now = reply[0], reply[1]
        if kind == 0:
            self._granted(reply[2], (now, reply[3], reply[4]))
        elif self.future.done():
            return
        elif kind == 1:
            rule = self._group.packing.rules[reply[2]]
            of = self._packed.spans[reply[2]]
            self.future.set_exception(QuotaExceeded(denial(rule, of, now, reply[3], reply[4])))
        elif kind == 2:
            self._group.seat.node.clock_ahead = reply[2] / 1000 - asyncio.get_running_loop().time()
            self._floor = now
            self._again()
        else:
            self._unknown(f"the id {self._demand.id} was used before")

    def abandon(self) -> None:
        """Nobody wants the answer any more."""
        if not self.future.cancel() and self.future.exception() is None:
            self.future.result().cancel()

    def late(self) -> None:
        self._unknown("Redis did not answer in time")

    def lost(self) -> None:
        self._unknown("the connection to Redis was lost")
        self._group.seat.finish(self._record, FORGET)

    def _again(self) -> None:
        self._tries += 1
        if self.future.done():
            return
        if self._tries > _MOST_TRIES:
            self._unknown("Redis and this worker do not agree on the time")
        else:
            self.send()

    def _granted(self, money: int, told: Told) -> None:
        if self.future.done():  # They have gone, or were told that nobody knows.
            self._group.seat.finish(self._record, CANCEL)
            return
        given = money if self._group.packing.pays else self._demand.money
        self.future.set_result(self._group.grant(self._record, given, self._packed, told))

    def _unknown(self, why: str) -> None:
        if not self.future.done():
            self.future.set_exception(QuotaUnknown(why))


class RedisGrant:
    """What was given, and its record in Redis."""

    __slots__ = ("_ended", "_group", "_record", "_start", "money", "packed", "told")

    def __init__(self, group: Group, record: bytes, money: int) -> None:
        self.money = money
        self.packed: Packed  # The rules as they were sent.
        self.told: Told
        self._start = money
        self._group = group
        self._record = record
        self._ended = False

    def levels(self) -> tuple[Level, ...]:
        now, told, _ = self.told
        return levels(self._group.packing.rules, self.packed.spans, now, told, self._start)

    def standing(self) -> Standing:
        return standing(self._group.packing.parts, self.told, self._start)

    async def grow(self, money: int) -> int:
        if self._ended or money <= 0:
            return 0
        if not self._group.packing.pays:  # No budget here.
            self.money += money
            return money
        growth = Growth(self._group, self._record, min(money, MOST - self.money))
        more = await growth.future
        self.money += more
        return more

    def settle(self, tokens: int, money: int) -> None:
        if self._ended:
            return
        self._ended = True
        group = self._group
        if group.packing.slots:
            _ = group.live.pop(self._record, None)
        said = b"settle %d %d" % (
            tokens if tokens < MOST else MOST,
            money if money < MOST else MOST,
        )
        group.seat.finish(self._record, b"$%d\r\n%b\r\n" % (len(said), said))

    def cancel(self) -> None:
        if self._ended:
            return
        self._ended = True
        group = self._group
        if group.packing.slots:
            _ = group.live.pop(self._record, None)
        group.seat.finish(self._record, CANCEL)

    def keep(self, money: int) -> None:
        """Hold only so much: another place gave no more."""
        if money < self.money and self._group.packing.pays:
            self.money = money
            self._group.seat.finish(self._record, bulk(b"hold %d" % money))


class Growth:
    """Waits for the answer to `grow`. What is not known was not added: the server's record knows
    better, and a settlement goes by that."""

    __slots__ = ("_rest", "_seat", "_tries", "future")

    def __init__(self, group: Group, record: bytes, money: int) -> None:
        self.future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._seat = group.seat
        at = 0 if group.clock is None else int(1000 * group.clock())
        self._rest = record + bulk(b"%d %d" % (money, at))
        self._tries = 0
        self._send()

    def answer(self, reply: Any) -> None:
        if not isinstance(reply, hiredis.ReplyError):
            self._seat.node.heard()
            self._known(reply)
        elif self._seat.node.understood(reply) and self._tries < _MOST_TRIES:
            self._tries += 1
            self._send()
        else:
            self._known(0)

    def late(self) -> None:
        self._known(0)

    def lost(self) -> None:
        self._known(0)

    def _send(self) -> None:
        node = self._seat.node
        if node.usable:
            node.ask(node.scripts.grow + self._rest, self)
        else:
            self._known(0)

    def _known(self, more: int) -> None:
        if not self.future.done():
            self.future.set_result(more)
