"""Control follows the store: builds the file, writes what changes, starts over where it must."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from proxy.base.secret import fingerprint
from proxy.core.identity import Changes, StoredKey
from proxy.stores.directory.file import in_folder
from proxy.stores.directory.keeper import DirectoryKeeper
from proxy.stores.directory.reader import DirectoryReader
from proxy.stores.directory.writer import DirectoryWriter
from tests.unit.stores_directory.directory_cases import SOURCE, Control, FakeFeed, key, scope


@contextlib.asynccontextmanager
async def keeping(
    feed: FakeFeed, folder: Path, ask: float = 0.02
) -> AsyncIterator[DirectoryKeeper]:
    keeper = DirectoryKeeper(feed, DirectoryWriter(in_folder(folder), SOURCE), ask=ask)
    keeper.start()
    try:
        yield keeper
    finally:
        await keeper.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def standing(folder: Path, *rows: StoredKey, seq: int) -> None:
    """A directory that was left there."""
    control = await Control.built(folder, *rows, seq=seq)
    await control.close()


async def names(folder: Path, *secrets: str) -> list[str | None]:
    """What a worker that starts now finds."""
    return await asyncio.to_thread(_names, folder, secrets)


def _names(folder: Path, secrets: Sequence[str]) -> list[str | None]:
    reader = DirectoryReader(in_folder(folder), SOURCE)
    reader.look()
    rows = reader.keys([fingerprint(secret) for secret in secrets])
    reader.close()
    return [row.id if row is not None else None for row in rows.values()]


async def test_it_builds_the_file_and_follows(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.put(key("ada"))
    async with keeping(feed, tmp_path, ask=60) as keeper:
        await until(lambda: keeper.state().seq == 1)
        feed.put(key("bob"))
        await until(lambda: keeper.state().seq == 2)
        feed.put(replace(key("ada"), deleted=datetime(2030, 1, 1, tzinfo=UTC)))
        await until(lambda: keeper.state().seq == 3)
        state = keeper.state()
        assert state.reason is None
        assert state.age is not None and state.age < 5
    assert await names(tmp_path, "ada", "bob") == [None, "key_bob"]
    assert feed.snapshots == 1


async def test_it_goes_on_from_where_the_file_stands(tmp_path: Path) -> None:
    await standing(tmp_path, key("ada"), seq=1)
    feed = FakeFeed()
    feed.put(key("ada"))
    feed.put(key("bob"))
    async with keeping(feed, tmp_path) as keeper:
        await until(lambda: keeper.state().seq == 2)
    assert await names(tmp_path, "ada", "bob") == ["key_ada", "key_bob"]
    assert feed.snapshots == 0


async def test_many_changes_come_in_pages(tmp_path: Path) -> None:
    await standing(tmp_path, seq=0)
    feed = FakeFeed()
    feed.page = 7
    for n in range(40):
        feed.put(key(f"k{n}"))
    async with keeping(feed, tmp_path) as keeper:
        await until(lambda: keeper.state().seq == 40)
    assert None not in await names(tmp_path, *(f"k{n}" for n in range(40)))


async def test_a_store_that_is_away_changes_nothing(tmp_path: Path) -> None:
    await standing(tmp_path, key("ada"), seq=1)
    feed = FakeFeed()
    feed.put(key("ada"))
    feed.away = True
    async with keeping(feed, tmp_path) as keeper:
        await until(lambda: "taken away" in (keeper.state().reason or ""))
        assert keeper.state().age is None
        assert await names(tmp_path, "ada") == ["key_ada"]
        feed.put(key("bob"))
        feed.away = False
        await until(lambda: keeper.state().seq == 2)
        assert keeper.state().reason is None
    assert await names(tmp_path, "ada", "bob") == ["key_ada", "key_bob"]


async def test_an_older_state_of_the_store_is_taken_as_it_is(tmp_path: Path) -> None:
    await standing(tmp_path, key("ada"), key("bob"), seq=900)
    feed = FakeFeed()
    feed.put(key("ada"))
    async with keeping(feed, tmp_path) as keeper:
        await until(lambda: keeper.state().seq == 1)
    assert await names(tmp_path, "ada", "bob") == ["key_ada", None]
    assert feed.snapshots == 1


async def test_a_store_that_goes_away_in_the_middle_of_a_snapshot(tmp_path: Path) -> None:
    await standing(tmp_path, key("ada"), seq=900)
    feed = FakeFeed()
    feed.put(key("eve"))
    batches = feed._batches

    async def broken_off() -> AsyncIterator[object]:
        async for each in batches():
            yield each
            feed.away = True

    feed._batches = broken_off  # type: ignore[method-assign, assignment]
    feed.put(key("bob"))
    async with keeping(feed, tmp_path) as keeper:
        await until(lambda: "taken away" in (keeper.state().reason or ""))
        assert await names(tmp_path, "ada", "bob") == ["key_ada", None]
        feed._batches = batches  # type: ignore[method-assign]
        feed.away = False
        await until(lambda: keeper.state().seq == 2)
    assert await names(tmp_path, "ada", "bob") == [None, "key_bob"]


async def test_a_file_that_is_deleted_is_built_again(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.put(key("ada"))
    feed.put(scope("team", "red", rpm=1))
    async with keeping(feed, tmp_path) as keeper:
        await until(lambda: keeper.state().seq == 2)
        in_folder(tmp_path).unlink()
        await until(lambda: feed.snapshots == 2 and feed.asked > 0)
    assert await names(tmp_path, "ada") == ["key_ada"]


async def test_a_file_that_is_deleted_is_missed_before_the_store_is_asked(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.put(key("ada"))
    async with keeping(feed, tmp_path, ask=600) as keeper:
        await until(lambda: keeper.state().seq == 1 and keeper.state().age is not None)
        in_folder(tmp_path).unlink()
        await until(lambda: feed.snapshots == 2 and feed.asked > 0)
    assert await names(tmp_path, "ada") == ["key_ada"]


async def test_a_store_that_does_not_answer_any_more_is_told(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.put(key("ada"))
    hangs = asyncio.Event()

    async def never(after: int) -> Changes:
        hangs.set()
        answer: asyncio.Future[Changes] = asyncio.get_running_loop().create_future()
        return await answer

    async with keeping(feed, tmp_path) as keeper:
        await until(lambda: keeper.state().age is not None)
        feed.changes = never  # type: ignore[method-assign]
        await hangs.wait()
        assert keeper.state().reason is None
        assert keeper._asked is not None
        keeper._asked -= 60
        assert "has not said for 60 s" in (keeper.state().reason or "")


async def test_a_folder_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.put(key("ada"))
    folder = tmp_path / "data"
    folder.touch()
    async with keeping(feed, folder) as keeper:
        await until(lambda: "cannot be written" in (keeper.state().reason or ""))
        folder.unlink()
        await until(lambda: keeper.state().seq == 1)
    assert await names(folder, "ada") == ["key_ada"]


async def test_a_bug_does_not_end_it(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.put(replace(key("ada"), document={"name": object()}))
    async with keeping(feed, tmp_path) as keeper:
        await until(lambda: "failed" in (keeper.state().reason or ""))
        feed.put(key("ada"))
        await until(lambda: keeper.state().seq == 2)
    assert await names(tmp_path, "ada") == ["key_ada"]


async def test_whoever_waits_for_it_waits_until_the_store_was_asked(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.put(key("ada"))
    async with keeping(feed, tmp_path, ask=60) as keeper:
        await keeper.tried(5)
        assert keeper.state().seq == 1
    feed.away = True
    async with keeping(feed, tmp_path, ask=60) as keeper:
        await keeper.tried(5)
        assert "taken away" in (keeper.state().reason or "")


async def test_a_store_that_does_not_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    keeper = DirectoryKeeper(FakeFeed(), DirectoryWriter(in_folder(tmp_path), SOURCE))
    await keeper.tried(0.01)  # It was never started.
    assert keeper.state().seq is None
