"""Dead letters: listed by reason, replayed once the reason is gone, counted once all the same."""

import asyncio
import fcntl
import os
import shutil
from pathlib import Path

import asyncpg
import pytest

from proxy.base.jsonio import loads
from proxy.cli.main import main
from proxy.stores.postgres.usage import PostgresUsage
from proxy.usage.dead_letters import DeadLetters, letter_files, letters, locked
from proxy.usage.dead_replay import Replayed, replay
from proxy.usage.segments import is_finished, list_segments, read_batch
from proxy.usage.shipper import Shipper, ShipperOptions
from proxy.wire.record import line_of
from tests.unit.stores.records import assert_books_agree, record, records
from tests.unit.usage_ship.memory_store import MemoryStore
from tests.unit.usage_ship.spool_files import segment_name, segments_in, write_bytes, write_segment


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def shipped(spool: Path, dsn: str) -> Shipper:
    """Ship all that there is."""
    store = PostgresUsage(dsn)
    shipper = Shipper(spool, store, ShipperOptions(batch=50))
    await shipper.drain()
    await store.close()
    return shipper


def bury(spool: Path, count: int, segment: int = 1) -> None:
    dead, end = DeadLetters(spool), 0
    for each in records(count):
        line = line_of(each)
        dead.add(segment_name(segment), end, end + len(line), "not that one", line)
        end += len(line)


def replayed_records(spool: Path) -> list[str]:
    batches = [read_batch(each, 0) for each in list_segments(spool)]
    assert not any(batch.bad for batch in batches)
    return [each.id for batch in batches for each in batch.records]


async def test_refused_by_the_store_and_taken_later(tmp_path: Path, postgres: str) -> None:
    await execute(postgres, "ALTER TABLE usage ADD CONSTRAINT odd CHECK (id NOT LIKE '%7')")
    write_segment(tmp_path, 1, records(200))
    shipper = await shipped(tmp_path, postgres)
    refused = [each for each in records(200) if each.id.endswith("7")]
    assert shipper.state().dead == len(refused) > 10
    await assert_books_agree(postgres, [each for each in records(200) if each not in refused])
    again = await asyncio.to_thread(replay, tmp_path)
    assert again == Replayed(len(refused), 0)
    shipper = await shipped(tmp_path, postgres)  # The reason is still there.
    assert shipper.state().dead == len(refused)
    await execute(postgres, "ALTER TABLE usage DROP CONSTRAINT odd")
    assert await asyncio.to_thread(replay, tmp_path) == Replayed(len(refused), 0)
    shipper = await shipped(tmp_path, postgres)
    await assert_books_agree(postgres, records(200))
    assert shipper.state().dead == 0
    assert segments_in(tmp_path) == []
    assert await asyncio.to_thread(letter_files, tmp_path / "dead") == []


async def test_a_record_that_is_in_the_store_is_not_counted_again(
    tmp_path: Path, postgres: str
) -> None:
    """A crash between the new segment and the end of the letters replays them twice."""
    await asyncio.to_thread(bury, tmp_path, 30)
    write_segment(tmp_path, 1, records(10))  # Some are known already.
    copy = tmp_path / "copy.seg"
    shutil.copy(tmp_path / "dead" / segment_name(1), copy)
    assert await asyncio.to_thread(replay, tmp_path) == Replayed(30, 0)
    shutil.copy(copy, tmp_path / "dead" / segment_name(1))
    assert await asyncio.to_thread(replay, tmp_path) == Replayed(30, 0)
    await shipped(tmp_path, postgres)
    await assert_books_agree(postgres, records(30))


def test_a_replay_is_one_finished_segment_for_each_file(tmp_path: Path) -> None:
    bury(tmp_path, 3, segment=1)
    bury(tmp_path, 2, segment=2)
    assert replay(tmp_path) == Replayed(5, 0)
    segments = list_segments(tmp_path)
    assert len(segments) == 2
    assert all(map(is_finished, segments))
    assert all(each.path.stat().st_mode & 0o777 == 0o600 for each in segments)
    names = [each.id for each in records(3)]
    assert sorted(replayed_records(tmp_path)) == sorted(names + names[:2])
    assert os.listdir(tmp_path / "dead") == []
    assert replay(tmp_path) == Replayed(0, 0)
    assert replay(tmp_path / "nowhere") == Replayed(0, 0)


def test_a_replay_by_root_belongs_to_whoever_runs_the_service(tmp_path: Path) -> None:
    bury(tmp_path, 1)
    if os.geteuid() == 0:
        os.chown(tmp_path, 54321, 54321)
    replay(tmp_path)
    [segment] = list_segments(tmp_path)
    assert segment.path.stat().st_uid == tmp_path.stat().st_uid


async def test_what_is_no_record_stays(tmp_path: Path) -> None:
    lines = [line_of(record(number)) for number in range(3)]
    write_bytes(tmp_path, 1, lines[0] + b"\xffnoise\n" + lines[1] + b"text\n" + lines[2][:30])
    store = MemoryStore()
    store.refused = frozenset({record(1).id})
    shipper = Shipper(tmp_path, store)
    await shipper.drain()
    path = tmp_path / "dead" / segment_name(1)
    with path.open("ab") as file:
        file.write(b'{"at":1,"start":9,"reas')  # Cut short by a crash.
    assert await asyncio.to_thread(replay, tmp_path) == Replayed(1, 4)
    assert await asyncio.to_thread(replayed_records, tmp_path) == [record(1).id]
    kept = await asyncio.to_thread(lambda: [letter for _, letter in letters(path)])
    assert [None if each is None else each.raw for each in kept] == [
        *(b"\xffnoise\n", b"text\n", lines[2][:30] + b"\n", None)
    ]
    store.refused = frozenset()
    await shipper.drain()
    assert store.kept == [record(number).id for number in (0, 1)]
    assert shipper.state().dead == 3
    before = path.read_bytes()
    assert await asyncio.to_thread(replay, tmp_path) == Replayed(0, 4)
    assert path.read_bytes() == before
    assert segments_in(tmp_path) == []


async def test_letters_that_come_during_a_replay_are_not_lost(tmp_path: Path) -> None:
    """The shipper waits for the file's lock and finds that it is another file now."""
    dead = DeadLetters(tmp_path)
    line = line_of(record(0))
    await asyncio.to_thread(dead.add, "a.seg", 0, 9, "why", line)
    descriptor = os.open(tmp_path / "dead/a.seg", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        adding = asyncio.get_running_loop().create_task(
            asyncio.to_thread(dead.add, "a.seg", 9, 18, "why", line)
        )
        done, _ = await asyncio.wait({adding}, timeout=0.05)
        assert not done
        (tmp_path / "dead/a.seg").unlink()
    finally:
        os.close(descriptor)
    await adding
    [(_, letter)] = await asyncio.to_thread(lambda: list(letters(tmp_path / "dead/a.seg")))
    assert letter is not None
    assert letter.start == 9


def test_what_another_replay_took_is_gone(tmp_path: Path) -> None:
    bury(tmp_path, 5)
    [path] = letter_files(tmp_path / "dead")
    assert replay(tmp_path) == Replayed(5, 0)
    with pytest.raises(FileNotFoundError), locked(path):
        raise AssertionError("there is no such file")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"data_dir: {tmp_path / 'data'}\nauth: none\nproviders: {{demo: {{kind: demo}}}}\n"
        "models: {demo: {targets: [{provider: demo, model: demo-1}]}}\n",
        encoding="utf-8",
    )
    return path


def test_the_command(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, spool = ("usage", "dead-letters"), tmp_path / "data/spool"
    there = ("--config", str(config))
    assert main((*command, *there)) == 0
    assert capsys.readouterr().out == "no dead letters\n"
    bury(spool, 3)
    DeadLetters(spool).add(segment_name(2), 0, 5, "the checksum does not fit", b"noise")
    assert main((*command, "list", *there)) == 0
    head, most, least, _, total, advice = capsys.readouterr().out.splitlines()
    assert head.split() == ["LETTERS", "RECORDS", "FIRST", "LAST", "REASON"]
    assert most.split()[:2] == ["3", "3"]
    assert most.endswith(" not that one")
    assert least.split()[:2] == ["1", "0"]
    assert total == f"4 in {spool / 'dead'}, 3 of them records."
    assert "replay" in advice
    assert main((*command, "--format", "json", *there)) == 0
    found = [loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["record"] for each in found] == [*(each.id for each in records(3)), None]
    assert main((*command, "replay", *there)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "3 records are in the spool again; `llm-proxy serve` ships them",
        f"1 letters are no records and stay in {spool / 'dead'}",
    ]
    assert replayed_records(spool) == [each.id for each in records(3)]


def test_the_command_says_what_it_cannot_do(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bury(tmp_path / "data/spool", 1)
    [path] = letter_files(tmp_path / "data/spool/dead")
    path.unlink()
    path.mkdir()
    assert main(("usage", "dead-letters", "--config", str(config))) == 1
    assert f"llm-proxy: {path}: Is a directory" in capsys.readouterr().err
    assert main(("usage", "--by", "team", "dead-letters", "--config", str(config))) == 2
    assert "takes --format table|json" in capsys.readouterr().err
    assert main(("usage", "dead-letters", "--config", str(tmp_path / "none.yaml"))) == 2
