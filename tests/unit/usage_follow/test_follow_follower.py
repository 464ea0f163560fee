"""The follower: every record once, across restarts, rotation, torn lines and damaged positions."""

import asyncio
import contextlib
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.base.clock import monotonic
from proxy.base.jsonio import dumps, loads
from proxy.usage import follower as follower_module
from proxy.usage.follower import Follower
from proxy.wire.record import Content, line_of
from proxy.wire.record_reader import Told
from tests.unit.stores.records import record, records
from tests.unit.usage_ship.spool_files import (
    ActiveSegment,
    segment_name,
    segments_in,
    write_bytes,
    write_segment,
)


class Following:
    """A follower of `<folder>/spool` and the ids that it told."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.state = folder / "run/follower.state"
        self.told: list[str] = []
        self.news = asyncio.Event()
        self.follower = Follower(self.spool, self.state, self.tell)

    def tell(self, records: Sequence[Told]) -> None:
        self.told += [record.id for record in records]
        self.news.set()

    async def look(self) -> list[str]:
        """What one more look tells."""
        before = len(self.told)
        await self.follower.look()
        return self.told[before:]

    async def restarted(self) -> "Following":
        """A follower after a crash: nothing was closed in order."""
        return Following(self.spool.parent)


@pytest.fixture
async def following(tmp_path: Path) -> Following:
    return Following(tmp_path)


def ids(count: int, start: int = 0) -> list[str]:
    return [each.id for each in records(count, start)]


async def test_what_was_written_is_told_once(following: Following) -> None:
    assert await following.look() == []
    active = ActiveSegment(following.spool, 1)
    active.append(b"".join(map(line_of, records(3))))
    assert await following.look() == ids(3)
    assert await following.look() == []
    active.append(line_of(record(3)))
    assert await following.look() == ids(1, start=3)
    active.finish()


async def test_how_late_it_is(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = monotonic()
    now = [begun]
    monkeypatch.setattr(follower_module, "monotonic", lambda: now[0])
    monkeypatch.setattr(follower_module, "_PIECE", 3 * len(line_of(record(0))))
    monkeypatch.setattr(follower_module, "_PIECES_A_TURN", 2)
    active = ActiveSegment(following.spool, 1)
    active.append(b"".join(map(line_of, records(9))))
    _ = await following.look()
    now[0] = begun + 4.0
    behind = following.follower.late
    while len(following.told) < 9:
        _ = await following.look()
    active.append(line_of(record(9)))  # As a worker that is never idle does: there is always more.
    _ = await following.look()
    now[0] = begun + 5.0
    assert behind > 3.0
    assert following.follower.late == pytest.approx(1.0)
    active.finish()


async def test_a_restart_tells_nothing_twice_and_misses_nothing(following: Following) -> None:
    active = ActiveSegment(following.spool, 1)
    write_segment(following.spool, 0, records(5))
    active.append(line_of(record(5)))
    assert await following.look() == ids(6)
    active.append(line_of(record(6)))
    again = await following.restarted()
    assert await again.look() == ids(1, start=6)
    assert await (await again.restarted()).look() == []
    active.finish()


async def test_positions_are_kept_before_the_records_are_told(following: Following) -> None:
    class Killed(BaseException):
        """What is left when control dies at that moment."""

    def tell(_records: Sequence[Told]) -> None:
        raise Killed

    write_segment(following.spool, 1, records(2))
    with pytest.raises(Killed):
        await Follower(following.spool, following.state, tell).look()
    assert await (await following.restarted()).look() == []


async def test_a_kill_at_any_moment_tells_nothing_twice(tmp_path: Path) -> None:
    spool, told = tmp_path / "spool", tmp_path / "told"
    chance, amid = random.Random(11), 0
    for number in range(8):
        write_segment(spool, number, records(1000, start=1000 * number))
        had = await asyncio.to_thread(lines_in, told)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.unit.usage_follow.following_process"),
            *(str(spool), str(tmp_path / "state"), str(told)),
        )
        async with asyncio.timeout(20):
            while len(await asyncio.to_thread(lines_in, told)) <= len(had):
                await asyncio.sleep(0.001)
        await asyncio.sleep(chance.uniform(0, 0.01))
        process.kill()
        await process.wait()
        amid += len(await asyncio.to_thread(lines_in, told)) < 1000 * (number + 1)
    found = await asyncio.to_thread(lines_in, told)
    assert len(found) == len(set(found))
    assert amid, "each was killed after its work was done: this shows nothing"


def lines_in(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


async def test_a_cancelled_look_tells_what_it_took(following: Following) -> None:
    """A stop in order loses nothing: neither what was read nor what was noted as told."""
    for moment in range(12):
        write_segment(following.spool, moment, records(10, start=10 * moment))
        task = asyncio.get_running_loop().create_task(following.follower.look())
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        _ = await following.look()
        assert following.told == ids(10 * (moment + 1))
    sizes = {path.name: path.stat().st_size for path in following.spool.glob("*.seg")}
    assert loads(following.state.read_bytes()) == sizes


async def test_other_work_goes_on_while_many_are_told(following: Following) -> None:
    write_segment(following.spool, 1, records(1000))
    seen: list[int] = []

    async def works() -> None:
        while len(following.told) < 1000:
            seen.append(len(following.told))
            await asyncio.sleep(0)

    _, told = await asyncio.gather(works(), following.look())
    assert told == ids(1000)
    among = [count for count in seen if 0 < count < 1000]
    assert len(set(among)) >= 5


async def test_cancelled_among_many_it_tells_the_rest(following: Following) -> None:
    write_segment(following.spool, 1, records(1000))
    look = asyncio.get_running_loop().create_task(following.follower.look())
    while not following.told:
        await asyncio.sleep(0)
    assert len(following.told) < 1000
    look.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await look
    assert following.told == ids(1000)
    assert await following.look() == []


async def test_rotation_the_shipper_may_be_quicker(following: Following) -> None:
    first = ActiveSegment(following.spool, 1)
    first.append(line_of(record(0)))
    assert await following.look() == ids(1)
    first.append(line_of(record(1)))
    first.finish()
    first.path.unlink()  # Shipped and deleted before we looked again.
    write_segment(following.spool, 2, records(1, start=2))
    assert sorted(await following.look()) == ids(2, start=1)
    _ = await following.look()
    write_segment(following.spool, 3, records(1, start=3))
    assert await following.look() == ids(1, start=3)
    assert loads(following.state.read_bytes()).keys() == {segment_name(2), segment_name(3)}


async def test_descriptors_of_what_is_gone_are_closed(following: Following) -> None:
    before = len(os.listdir("/dev/fd"))
    for number in range(20):
        write_segment(following.spool, number, records(1, start=number))
    _ = await following.look()
    assert len(os.listdir("/dev/fd")) >= before + 20
    for path in following.spool.iterdir():
        path.unlink()
    assert await following.look() == []
    assert len(os.listdir("/dev/fd")) == before
    write_segment(following.spool, 50, records(1, start=50))
    _ = await following.look()
    following.follower.close()
    assert len(os.listdir("/dev/fd")) == before


async def test_a_torn_line_waits_until_it_is_whole(following: Following) -> None:
    active, line = ActiveSegment(following.spool, 1), line_of(record(1))
    active.append(line_of(record(0)) + line[:70])
    assert await following.look() == ids(1)
    assert await following.look() == []
    again = await following.restarted()
    assert await again.look() == []
    active.append(line[70:])
    assert await following.look() == ids(1, start=1)
    assert await again.look() == ids(1, start=1)
    active.finish()


async def test_bytes_that_are_not_written_yet(following: Following, tmp_path: Path) -> None:
    """A segment that was made large at once: NUL where nothing is yet, also amid the last line."""
    lines = [line_of(record(number)) for number in range(3)]
    path = write_bytes(following.spool, 1, bytes(100_000))

    def put(at: int, data: bytes) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    assert await following.look() == []
    put(0, lines[0] + lines[1][:40])
    assert await following.look() == ids(1)
    put(len(lines[0]) + 60, lines[1][60:])
    assert await following.look() == []
    put(len(lines[0]) + 40, lines[1][40:60])
    assert await following.look() == ids(1, start=1)
    put(len(lines[0] + lines[1]), lines[2])
    assert await following.look() == ids(1, start=2)
    os.truncate(path, len(b"".join(lines)))
    assert await following.look() == []


async def test_damaged_lines_cost_themselves_only(
    following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [b"nonsense", b"", b"\xff" * 50, bytes(300), line_of(record(9))[:80]]
    parts = [piece for n, each in enumerate(bad) for piece in (each + b"\n", line_of(record(n)))]
    write_bytes(following.spool, 1, b"".join(parts))
    assert await following.look() == ids(5)
    assert caplog.text.count("a line of the spool is no record") == 5


async def test_a_line_longer_than_a_piece(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_PIECE", 1000)
    large = record(1, content=Content(output="o" * 50_000))
    write_segment(following.spool, 1, [record(0), large, record(2)])
    for _ in range(10):
        _ = await following.look()
    assert following.told == ids(3)


async def test_bytes_without_end_are_passed_over(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_PIECE", 1000)
    monkeypatch.setattr(follower_module, "_LONGEST_LINE", 4000)
    write_bytes(following.spool, 1, b"x" * 30_000 + b"\n" + line_of(record(1)))
    for _ in range(20):
        _ = await following.look()
    assert following.told == [record(1).id]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\x00", b"[1]", b"null", dumps({"a": "b"}), dumps({"a": -1}), bytes(64)],
)
async def test_damaged_positions_count_all_as_told(
    following: Following, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    active = ActiveSegment(following.spool, 1)
    active.append(b"".join(map(line_of, records(50))) + line_of(record(50))[:30])
    following.state.parent.mkdir()
    following.state.write_bytes(content)
    assert await following.look() == []
    assert "counts as told" in caplog.text
    active.append(line_of(record(50))[30:])
    assert await following.look() == ids(1, start=50)
    assert await (await following.restarted()).look() == []
    active.finish()


async def test_a_position_beyond_the_end_harms_nobody(following: Following) -> None:
    path = write_segment(following.spool, 1, records(3))
    following.state.parent.mkdir()
    following.state.write_bytes(dumps({path.name: 10**9, "gone": 5}))
    write_segment(following.spool, 2, records(2, start=3))
    assert await following.look() == ids(2, start=3)
    path.unlink()
    assert await following.look() == []


async def test_positions_that_cannot_be_written_do_not_stop_it(
    following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    following.state.parent.write_bytes(b"a file where the folder should be")
    write_segment(following.spool, 1, records(2))
    assert await following.look() == []  # Nor can they be read: all counts as told.
    write_segment(following.spool, 2, records(2, start=2))
    assert await following.look() == ids(2, start=2)
    assert "cannot be written" in caplog.text


async def test_a_listener_that_fails_costs_itself_only(
    following: Following, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_LINES_AT_ONCE", 1)
    told: list[str] = []

    def tell(records: Sequence[Told]) -> None:
        if len(told) % 2:
            told.append("failed")
            raise BrokenPipeError("nobody reads")
        told.extend(record.id for record in records)

    write_segment(following.spool, 1, records(4))
    await Follower(following.spool, following.state, tell).look()
    assert told == [record(0).id, "failed", record(2).id, "failed"]
    assert "1 records cannot be told" in caplog.text


async def test_a_clock_that_steps_back_changes_the_order_only(following: Following) -> None:
    write_segment(following.spool, 1000, records(2))
    assert await following.look() == ids(2)
    write_segment(following.spool, 1, records(2, start=2))  # Begun "earlier".
    assert await following.look() == ids(2, start=2)
    assert await (await following.restarted()).look() == []
    assert segments_in(following.spool) == [segment_name(1), segment_name(1000)]


async def test_it_runs_until_it_is_cancelled(
    following: Following, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(follower_module, "_POLL", 0.001)
    following.spool.write_bytes(b"no folder")
    task = asyncio.get_running_loop().create_task(following.follower.run())
    async with asyncio.timeout(10):
        while "the spool cannot be followed" not in caplog.text:
            await asyncio.sleep(0.001)
        following.spool.unlink()
        write_segment(following.spool, 1, records(1))
        await following.news.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert following.told == ids(1)
    following.follower.close()
