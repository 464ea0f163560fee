"""The shipper by itself, with a store in memory: order, retries, refusals, deletion, lag."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.base.jsonio import loads
from proxy.usage import shipper as shipper_module
from proxy.usage.dead_letters import DeadLetters
from proxy.usage.segments import spool_id
from proxy.usage.shipper import Shipper, ShipperOptions
from proxy.wire.record import line_of
from tests.unit.stores.records import record, records
from tests.unit.usage_ship.memory_store import MemoryStore
from tests.unit.usage_ship.spool_files import (
    ActiveSegment,
    segment_name,
    segments_in,
    write_bytes,
    write_segment,
)

QUICK = ShipperOptions(batch=50, poll=0.005, progress=0.0)


def ids(count: int, start: int = 0) -> list[str]:
    return [each.id for each in records(count, start)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper_module, "_FIRST_PAUSE", 0.001)


@contextlib.asynccontextmanager
async def running(shipper: Shipper) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(shipper.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_kept(store: MemoryStore, count: int) -> None:
    async with asyncio.timeout(10):
        while len(store.kept) < count:
            store.asked.clear()
            await store.asked.wait()


async def test_all_is_shipped_oldest_first_and_deleted(tmp_path: Path) -> None:
    write_segment(tmp_path, 2, records(70, start=120))
    write_segment(tmp_path, 1, records(120))
    store = MemoryStore()
    shipper = Shipper(tmp_path, store, QUICK)
    await shipper.drain()
    assert store.kept == ids(190)
    assert segments_in(tmp_path) == []
    state = shipper.state()
    assert (state.reason, state.shipped, state.dead, state.bad) == (None, 190, 0, 0)
    assert (state.lag.records, state.lag.bytes, state.lag.seconds) == (0, 0, 0.0)


async def test_an_active_segment_is_followed(tmp_path: Path) -> None:
    active = ActiveSegment(tmp_path, 1)
    store = MemoryStore()
    shipper = Shipper(tmp_path, store, QUICK)
    async with running(shipper):
        for number in range(5):
            line = line_of(record(number))
            active.append(line[:100])
            active.append(line[100:])
            await until_kept(store, number + 1)
        assert segments_in(tmp_path) == [segment_name(1)]
        active.finish()
        async with asyncio.timeout(10):
            while segments_in(tmp_path):
                await asyncio.sleep(0.005)
    assert store.kept == ids(5)


async def test_drain_does_not_wait_for_a_line_that_is_being_written(tmp_path: Path) -> None:
    active = ActiveSegment(tmp_path, 1)
    active.append(line_of(record(0)) + b"half")
    store = MemoryStore()
    shipper = Shipper(tmp_path, store, QUICK)
    await shipper.drain()
    assert store.kept == ids(1)
    assert shipper.behind().bytes == 4
    active.finish()


async def test_a_store_that_is_away_is_asked_again(tmp_path: Path) -> None:
    write_segment(tmp_path, 1, records(120))
    store = MemoryStore()
    store.away = 5
    shipper = Shipper(tmp_path, store, QUICK)
    async with running(shipper):
        await store.asked.wait()
        async with asyncio.timeout(10):
            while shipper.state().reason is None:
                await asyncio.sleep(0)
        assert shipper.state().reason == "not now"
        assert shipper.behind().bytes > 0
        assert shipper.behind().records > 0
        assert shipper.behind().seconds > 0
        await until_kept(store, 120)
    assert store.kept == ids(120)
    assert shipper.state().reason is None


async def test_an_answer_that_got_lost_ships_nothing_twice(tmp_path: Path) -> None:
    write_segment(tmp_path, 1, records(200))
    store = MemoryStore()
    store.lost = 3
    await Shipper(tmp_path, store, QUICK).drain()
    assert store.kept == ids(200)


async def test_the_store_knows_better_where_we_are(tmp_path: Path) -> None:
    path = write_segment(tmp_path, 1, records(10))
    store = MemoryStore()
    key = f"{await asyncio.to_thread(spool_id, tmp_path)}/{path.name}"
    store.positions[key] = sum(len(line_of(each)) for each in records(4))
    await Shipper(tmp_path, store, QUICK).drain()
    assert store.kept == ids(6, start=4)


async def test_two_shippers_share_the_work(tmp_path: Path) -> None:
    for number in range(4):
        write_segment(tmp_path, number, records(100, start=number * 100))
    store = MemoryStore()
    await asyncio.gather(*(Shipper(tmp_path, store, QUICK).drain() for _ in range(3)))
    assert sorted(store.kept) == ids(400)
    assert segments_in(tmp_path) == []


@pytest.mark.parametrize("refused", [{0}, {49}, {50, 51}, {7, 60, 119}, set(range(120))])
async def test_refused_records_are_buried_and_the_rest_goes_on(
    tmp_path: Path, refused: set[int]
) -> None:
    write_segment(tmp_path, 1, records(120))
    store = MemoryStore()
    store.refused = frozenset(record(number).id for number in refused)
    shipper = Shipper(tmp_path, store, QUICK)
    await shipper.drain()
    assert store.kept == [each for each in ids(120) if each not in store.refused]
    assert shipper.state().dead == len(refused)
    letters = (tmp_path / "dead" / segment_name(1)).read_bytes().splitlines()
    found = [loads(letter) for letter in letters]
    assert [letter["reason"] for letter in found] == ["not that one"] * len(refused)
    assert [letter["line"].encode() + b"\n" for letter in found] == [
        line_of(record(number)) for number in sorted(refused)
    ]
    assert segments_in(tmp_path) == []


async def test_bytes_that_are_no_record_are_buried_too(tmp_path: Path) -> None:
    lines = [line_of(record(number)) for number in range(3)]
    write_bytes(tmp_path, 1, lines[0] + b"\xffnoise\n" + lines[1] + lines[2] + lines[0][:30])
    store = MemoryStore()
    shipper = Shipper(tmp_path, store, QUICK)
    await shipper.drain()
    assert store.kept == ids(3)
    assert (shipper.state().dead, shipper.state().bad) == (2, 2)
    first, second = map(loads, (tmp_path / "dead" / segment_name(1)).read_bytes().splitlines())
    assert base64.b64decode(first["base64"]) == b"\xffnoise\n"
    assert (first["start"], second["line"]) == (len(lines[0]), lines[0][:30].decode())
    assert segments_in(tmp_path) == []


async def test_letters_of_earlier_times_are_counted(tmp_path: Path) -> None:
    earlier = DeadLetters(tmp_path)
    for start in (0, 10, 10):
        await asyncio.to_thread(earlier.add, segment_name(0), start, start + 5, "why", b"line\n")
    shipper = Shipper(tmp_path, MemoryStore(), QUICK)
    await shipper.drain()
    assert shipper.state().dead == 2


def test_a_letter_is_written_once_also_after_a_crash(tmp_path: Path) -> None:
    DeadLetters(tmp_path).add("a.seg", 5, 9, "why", b"line\n")
    path = tmp_path / "dead/a.seg"
    with path.open("ab") as file:
        file.write(b'{"at":1,"start":9,"reas')  # A crash in the middle of the next one.
    again = DeadLetters(tmp_path)
    assert again.take_stock() == 1
    again.add("a.seg", 5, 9, "why", b"line\n")
    again.add("a.seg", 9, 14, "why", b"more\n")
    assert again.count == DeadLetters(tmp_path).take_stock() == 2


async def test_positions_of_what_is_gone_are_forgotten(tmp_path: Path) -> None:
    active = ActiveSegment(tmp_path, 3)
    active.append(line_of(record(0)))
    store = MemoryStore()
    await Shipper(tmp_path, store, QUICK).drain()
    prefix = f"{await asyncio.to_thread(spool_id, tmp_path)}/"
    assert store.forgot == [(prefix, [prefix + segment_name(3)])]
    active.finish()


async def test_catching_up_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    write_segment(tmp_path, 1, records(120))
    await Shipper(tmp_path, MemoryStore(), QUICK).drain()
    assert any(line.startswith("catching up: ") for line in caplog.messages)


async def test_what_fails_is_told_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper_module, "_LONGEST_PAUSE", 0.001)
    spool = tmp_path / "spool"
    spool.write_bytes(b"not a folder")
    store = MemoryStore()
    async with running(Shipper(spool, store, QUICK)):
        async with asyncio.timeout(10):
            while not caplog.messages:
                await asyncio.sleep(0.005)
        spool.unlink()
        write_segment(spool, 1, records(3))
        await until_kept(store, 3)
    assert "shipping failed" in caplog.text
