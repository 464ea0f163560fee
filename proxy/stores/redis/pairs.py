"""Two demands of one request, asked in one question: its limits and its first attempt's budgets.

Both are granted, or neither is. Where something refuses, whoever asked puts the questions one by
one and is told what it is. One that may have been heard, but was not answered, ends as a question
about a single quota does: what may have been taken is given back, and the ids are used.
"""

import asyncio
from typing import Any

import hiredis

from proxy.core.quota import Demand, QuotaUnknown
from proxy.stores.redis.grants import CANCEL, FORGET, Group, RedisGrant, asked_for

Pair = tuple[RedisGrant, RedisGrant]


class PairQuestion:
    """Waits for one answer to two demands. `future`: both grants; None where they are to be asked
    for one by one; QuotaUnknown."""

    __slots__ = ("_groups", "_packed", "_records", "future")

    def __init__(self, groups: tuple[Group, Group], records: tuple[bytes, bytes]) -> None:
        self.future: asyncio.Future[Pair | None] = asyncio.get_running_loop().create_future()
        self._groups = groups
        self._records = records

    def send(self, one: Demand, other: Demand) -> None:
        """Ask. Only while the server can be asked."""
        (group, second), records = self._groups, self._records
        node = group.seat.node
        assert node.link is not None
        now = int(1000 * (self.future.get_loop().time() + node.clock_ahead))
        at = 0 if group.clock is None else int(1000 * group.clock())
        moment = at or now
        packed = self._packed = group.packing.at(moment), second.packing.at(moment)
        node.link.send(
            b"%b%b%b%b%b%b%b"
            % (
                node.scripts.take_both,
                *records,
                packed[0].argument,
                asked_for(one, now, at, 0),
                packed[1].argument,
                asked_for(other, now, at, 0),
            ),
            self,
        )

    def answer(self, reply: Any) -> None:
        """Both, or neither."""
        group, second = self._groups
        node = group.seat.node
        if isinstance(reply, hiredis.ReplyError):
            _ = node.understood(reply)
            self._neither()
            return
        node.heard()
        if reply[0] != 0:
            if reply[0] == 2:
                node.clock_ahead = reply[2] / 1000 - self.future.get_loop().time()
            self._neither()
            return
        future = self.future
        if future.done():  # They have gone, or were told that nobody knows.
            self._end(CANCEL)
            return
        _, now, money, told, tight, second_money, second_told, second_tight = reply
        one, other = self._records
        packed, second_packed = self._packed
        future.set_result(
            (
                group.grant(one, money, packed, (now, told, tight)),
                second.grant(other, second_money, second_packed, (now, second_told, second_tight)),
            )
        )

    def abandon(self) -> None:
        """Nobody wants the answer any more."""
        if not self.future.cancel() and self.future.exception() is None:
            for grant in self.future.result() or ():
                grant.cancel()

    def late(self) -> None:
        """What comes now is too late."""
        self._unknown("Redis did not answer in time")

    def lost(self) -> None:
        """Done or not, nobody knows."""
        self._unknown("the connection to Redis was lost")
        self._end(FORGET)

    def _neither(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def _unknown(self, why: str) -> None:
        if not self.future.done():
            self.future.set_exception(QuotaUnknown(why))

    def _end(self, said: bytes) -> None:
        for group, record in zip(self._groups, self._records, strict=True):
            group.seat.finish(record, said)
