"""Writes of one loop turn: together where there are several, at once where there is one."""

import asyncio
from typing import cast

import pytest

from proxy.base.turn import AtOnce, Turn


class _Transport:
    """Notes what is done to it, and when, in a log that several share."""

    def __init__(self, name: str, did: list[tuple[str, bytes | str]]) -> None:
        self.name = name
        self.did = did
        self.closing = False
        self.broken = False

    def write(self, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("no transport")
        self.did.append((self.name, data))

    def close(self) -> None:
        self.did.append((self.name, "closed"))
        self.closing = True

    def abort(self) -> None:
        self.did.append((self.name, "aborted"))
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


def _transports(*names: str) -> tuple[list[tuple[str, bytes | str]], list[asyncio.WriteTransport]]:
    did: list[tuple[str, bytes | str]] = []
    return did, [cast("asyncio.WriteTransport", _Transport(name, did)) for name in names]


async def test_what_is_written_in_one_turn_leaves_at_its_end_in_order() -> None:
    did, (a, b) = _transports("a", "b")
    turn = Turn()
    turn.write(a, b"1")
    turn.write(b, b"2")
    turn.write(a, b"3")
    assert did == []
    await asyncio.sleep(0)
    assert did == [("a", b"1"), ("b", b"2"), ("a", b"3")]


async def test_a_close_comes_after_what_was_written_and_at_once_where_nothing_waits() -> None:
    did, (a, b) = _transports("a", "b")
    turn = Turn()
    turn.close(b)
    assert did == [("b", "closed")]
    turn.write(a, b"last")
    turn.close(a)
    assert did == [("b", "closed")]
    await asyncio.sleep(0)
    assert did[1:] == [("a", b"last"), ("a", "closed")]


async def test_an_abort_drops_what_waits() -> None:
    did, (a, b) = _transports("a", "b")
    turn = Turn()
    turn.write(a, b"dropped")
    turn.write(b, b"kept")
    a.abort()
    await asyncio.sleep(0)
    assert did == [("a", "aborted"), ("b", b"kept")]


async def test_a_write_that_was_alone_makes_the_next_ones_leave_at_once() -> None:
    did, (a, b) = _transports("a", "b")
    turn = Turn()
    turn.write(a, b"alone")
    await asyncio.sleep(0)
    written = 0
    while len(did) == written + 1:  # Each is out before the next is given.
        written += 1
        turn.write(a, b"%d" % written)
    assert 10 < written <= 40  # Then one waits again, to see whether it is still alone.
    turn.write(b, b"with it")
    await asyncio.sleep(0)
    assert did[-2:] == [("a", b"%d" % written), ("b", b"with it")]
    turn.write(a, b"waits")  # It was not.
    assert did[-1] == ("b", b"with it")
    turn.flush()
    assert did[-1] == ("a", b"waits")


async def test_order_holds_between_what_waits_and_what_would_leave_at_once() -> None:
    did, (a,) = _transports("a")
    turn = Turn()
    sent = [b"%d" % number for number in range(100)]
    for number, data in enumerate(sent):
        turn.write(a, data)
        if number % 7 == 3:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [data for _, data in did] == sent


async def test_one_that_fails_is_aborted_and_told_of_and_the_others_are_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    did, (a, b) = _transports("a", "b")
    cast("_Transport", a).broken = True
    turn = Turn()
    turn.write(a, b"1")
    turn.write(b, b"2")
    await asyncio.sleep(0)
    assert did == [("a", "aborted"), ("b", b"2")]
    assert "a write failed" in caplog.text


async def test_where_nothing_may_wait_nothing_does() -> None:
    did, (a, b) = _transports("a", "b")
    turn = AtOnce()
    turn.write(a, b"1")
    turn.write(b, b"2")
    turn.close(a)
    assert did == [("a", b"1"), ("b", b"2"), ("a", "closed")]


async def test_what_is_large_never_waits_and_comes_after_what_does() -> None:
    did, (a, b) = _transports("a", "b")
    turn = Turn()
    turn.write(a, b"small")
    turn.write(a, b"another")
    turn.write(b, b"x" * 16 * 1024)
    assert did == [("a", b"small"), ("a", b"another"), ("b", b"x" * 16 * 1024)]
    turn.write(a, b"next")
    assert len(did) == 3
    await asyncio.sleep(0)
    assert did[3:] == [("a", b"next")]
