"""What grants say at their end, told together: all that one connection is to tell in one command.

A settlement waits until the connection is next written to, and is the first thing written then: who
asks in the same turn of the loop finds what it gave back. Nobody waits for the answer. Where that
is anything but good, or never comes, each is told again alone, until the server knows: telling
twice does nothing.
"""

from typing import TYPE_CHECKING, Any, Final

import hiredis

if TYPE_CHECKING:
    from proxy.stores.redis.node import Seat

MOST: Final = 64
"""Settlements in one command: the server does nothing else meanwhile."""


class Settlements:
    """Some of them, on their way."""

    __slots__ = ("_records", "_said", "_seat")

    def __init__(self, seat: "Seat", records: list[bytes], said: list[bytes]) -> None:
        self._seat = seat
        self._records = records
        self._said = said

    def command(self) -> bytes:
        """What is sent."""
        count = len(self._records)
        return b"*%d\r\n%b$%d\r\n%d\r\n%b%b" % (
            3 + 2 * count,
            self._seat.node.scripts.finish_all,
            1 if count < 10 else 2,
            count,
            b"".join(self._records),
            b"".join(self._said),
        )

    def answer(self, reply: Any) -> None:
        """They are known, or the server says why not."""
        node = self._seat.node
        if not isinstance(reply, hiredis.ReplyError):
            node.heard()
            return
        _ = node.understood(reply)  # Of one that would do no harm alone the others know nothing.
        self.lost()

    def late(self) -> None:
        """Nobody waits."""

    def lost(self) -> None:
        """Tell each alone."""
        for record, said in zip(self._records, self._said, strict=True):
            self._seat.state_finish(record + said)
