"""Rules whose counts live in several places: in a cluster each scope has its own.

All places are asked at once, so it takes one round trip. If one of them refuses, what the others
gave is given back; if one gives less money, the others keep only so much. Between those moments a
place may refuse somebody for a hold that is about to be given back: too strict for a moment, never
too generous.
"""

import asyncio
import math
from collections.abc import Callable
from urllib.parse import quote

from proxy.core.quota import Demand, Grant, Level, QuotaExceeded, Rule, Standing, standing_of
from proxy.stores.redis.commands import bulk, command
from proxy.stores.redis.grants import Group, Question, RedisGrant
from proxy.stores.redis.node import Seat, Statement
from proxy.stores.redis.packing import KEPT

SeatOf = Callable[[str], Seat]
"""Where the counts with a tag live."""


class Share:
    """The rules of one place: their places among all rules, and where they are counted."""

    __slots__ = ("group", "places", "prefix", "tag")

    def __init__(self, tag: str, places: tuple[int, ...], group: Group, prefix: str) -> None:
        self.tag = tag
        self.places = places
        self.group = group
        self.prefix = f"{prefix}:{{{tag}}}:grant:".encode()


class Index:
    """Remembers in which places a hold is, by its id: a correction knows nothing else."""

    __slots__ = ("key", "seat")

    def __init__(self, seat: Seat, key: bytes) -> None:
        self.seat = seat
        self.key = key

    def remember(self, tags: list[str]) -> None:
        """These places hold money for it."""
        words = (b"SET", self.key, " ".join(tags).encode(), b"EX", b"%d" % KEPT)
        self.seat.tell("plain", command(*words))

    def forget(self) -> None:
        """It has ended."""
        self.seat.tell("plain", command(b"DEL", self.key))


class Indices:
    """Where the index of each hold is kept."""

    def __init__(self, seat: SeatOf, prefix: str) -> None:
        self._seat = seat
        self._prefix = prefix

    def of(self, id: str) -> Index:
        """The index of one hold."""
        tag = f"hold:{quote(id, safe='')}"
        return Index(self._seat(tag), f"{self._prefix}:{{{tag}}}".encode())


class SpreadQuota:
    """Rules that several places count."""

    __slots__ = ("_index", "_shares", "rules")

    def __init__(self, rules: tuple[Rule, ...], shares: tuple[Share, ...], index: Indices) -> None:
        self.rules = rules
        self._shares = shares
        self._index = index

    async def take(self, demand: Demand) -> Grant:
        questions = [self._question(share, demand) for share in self._shares]
        for question in questions:
            question.send()
        try:
            _ = await asyncio.wait([question.future for question in questions])
        except asyncio.CancelledError:
            for question in questions:
                question.abandon()
            raise
        errors = [error for q in questions if (error := q.future.exception()) is not None]
        if errors:
            for question in questions:
                question.abandon()
            raise _worst(errors)
        return self._granted(demand, [question.future.result() for question in questions])

    def _question(self, share: Share, demand: Demand) -> Question:
        return Question(share.group, bulk(share.prefix + demand.id.encode()), demand)

    def _granted(self, demand: Demand, parts: list[RedisGrant]) -> Grant:
        grant = SpreadGrant(self._shares, parts, demand.money)
        tags = [share.tag for share in self._shares if share.group.packing.pays]
        if tags:
            grant.index = self._index.of(demand.id)
            grant.index.remember(tags)
        return grant


class SpreadGrant:
    """What several places gave."""

    __slots__ = ("_ended", "_parts", "_paying", "_shares", "index", "money")

    def __init__(self, shares: tuple[Share, ...], parts: list[RedisGrant], asked: int) -> None:
        self.index: Index | None = None
        self._ended = False
        self._shares = shares
        self._parts = parts
        self._paying = [
            part for share, part in zip(shares, parts, strict=True) if share.group.packing.pays
        ]
        self.money = min((part.money for part in self._paying), default=asked)
        self._keep()

    def levels(self) -> tuple[Level, ...]:
        placed: dict[int, Level] = {}
        for share, part in zip(self._shares, self._parts, strict=True):
            placed.update(zip(share.places, part.levels(), strict=True))
        return tuple(placed[place] for place in range(len(placed)))

    def standing(self) -> Standing:
        return standing_of(self.levels())

    async def grow(self, money: int) -> int:
        if self._ended or money <= 0:
            return 0
        more = money
        if self._paying:
            more = min(await asyncio.gather(*(part.grow(money) for part in self._paying)))
        if self._ended:  # It ended while it grew; the settlement knows no more than it said.
            return 0
        self.money += more
        self._keep()
        return more

    def settle(self, tokens: int, money: int) -> None:
        for part in self._parts:
            part.settle(tokens, money)
        self._end()

    def cancel(self) -> None:
        for part in self._parts:
            part.cancel()
        self._end()

    def _keep(self) -> None:
        for part in self._paying:
            part.keep(self.money)

    def _end(self) -> None:
        if self.index is not None and not self._ended:
            self.index.forget()
        self._ended = True


class Correction(Statement):
    """Finds out where a hold is, then says there what it cost in truth."""

    __slots__ = ("_id", "_money", "_prefix", "_seat_of")

    def __init__(self, index: Index, id: str, money: int, *, seat_of: SeatOf, prefix: str) -> None:
        super().__init__(index.seat, "plain", command(b"GET", index.key))
        self._id = id
        self._money = money
        self._seat_of = seat_of
        self._prefix = prefix

    def done(self, reply: bytes | None) -> None:
        for tag in (reply or b"").decode().split():
            record = bulk(f"{self._prefix}:{{{tag}}}:grant:{self._id}".encode())
            self._seat_of(tag).tell("finish", record + bulk(b"correct %d" % self._money))


def _worst(errors: list[BaseException]) -> BaseException:
    """A denial is certain; of several, the one that opens last."""
    denials = [error for error in errors if isinstance(error, QuotaExceeded)]
    return max(denials, key=_opens) if denials else errors[0]


def _opens(error: QuotaExceeded) -> float:
    wait = error.denial.retry_after
    return math.inf if wait is None else wait
