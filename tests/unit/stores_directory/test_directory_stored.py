"""Stored keys as a worker knows them: found, remembered, forgotten when they change."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.base.errors import AccessDenied, StoreUnavailable
from proxy.base.secret import fingerprint
from proxy.core.quota import Scope
from proxy.stores.directory import stored as stored_module
from proxy.stores.directory.file import in_folder
from tests.unit.stores_directory.directory_cases import (
    Control,
    deleted,
    key,
    scope,
    working,
)

GONE = datetime(2030, 1, 1, tzinfo=UTC)


async def test_a_key_is_read_once_and_then_known(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path, key("ada", team="red"))
    async with working(tmp_path) as worker:
        hash_ = fingerprint("ada")
        assert worker.callers.known(hash_) is None
        found = await worker.callers.find(hash_)
        assert found is not None and (found.name, found.team) == ("ada", "red")
        assert worker.callers.known(hash_) is found
        assert await worker.name("ada") == "ada"
        assert worker.reader.asked == [hash_]
    await writer.close()


async def test_a_key_that_nobody_has_is_read_once(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path, key("ada"))
    async with working(tmp_path) as worker:
        assert [await worker.name("eve") for _ in range(3)] == [None] * 3
        assert worker.reader.asked == [fingerprint("eve")]
    await writer.close()


async def test_those_who_ask_at_the_same_time_share_one_read(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path, key("ada"))
    async with working(tmp_path) as worker:
        answers = await asyncio.gather(*(worker.name("ada") for _ in range(50)))
        assert answers == ["ada"] * 50
        assert worker.reader.asked == [fingerprint("ada")]
    await writer.close()


async def test_many_keys_at_once_are_all_answered(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path, *(key(f"k{n}") for n in range(300)))
    async with working(tmp_path) as worker:
        answers = await asyncio.gather(*(worker.name(f"k{n}") for n in range(500)))
        assert answers == [f"k{n}" for n in range(300)] + [None] * 200
    await writer.close()


async def test_one_who_goes_takes_the_answer_from_nobody(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path, key("ada"))
    async with working(tmp_path) as worker:
        first = asyncio.create_task(worker.name("ada"))  # noqa: TID251 - to be cancelled.
        second = asyncio.create_task(worker.name("ada"))  # noqa: TID251
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "ada"
        assert first.cancelled() or first.cancelling()
    await writer.close()


async def test_made_up_keys_push_no_good_one_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_module, "_MOST", 10)
    writer = await Control.built(tmp_path, key("ada"))
    async with working(tmp_path) as worker:
        assert await worker.name("ada") == "ada"
        await asyncio.gather(*(worker.name(f"made up {n}") for n in range(100)))
        assert worker.callers.known(fingerprint("ada")) is not None
        assert len(worker.callers._strangers) == 10
    await writer.close()


async def test_a_new_key_is_known_although_it_was_refused_before(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path)
    async with working(tmp_path) as worker:
        assert await worker.name("ada") is None
        assert await worker.name("eve") is None
        await writer.change(2, key("ada"))
        await worker.callers.look()
        assert await worker.name("ada") == "ada"
        assert await worker.name("eve") is None
        assert worker.reader.asked.count(fingerprint("eve")) == 1
    await writer.close()


async def test_only_what_changed_is_forgotten(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path, key("ada"), key("bob"), key("joe"))
    async with working(tmp_path) as worker:
        for name in ("ada", "bob", "joe"):
            await worker.name(name)
        kept = worker.callers.known(fingerprint("joe"))
        await writer.change(2, deleted(key("ada"), 2), key("bob", blocked=True))
        await worker.callers.look()
        assert await worker.name("ada") is None
        bob = await worker.callers.find(fingerprint("bob"))
        assert bob is not None and bob.blocked
        assert worker.callers.known(fingerprint("joe")) is kept
    await writer.close()


async def test_the_former_key_ends_when_its_grace_does(tmp_path: Path) -> None:
    turned = replace(key("ada", secret="new"), old_hash=fingerprint("old"), old_until=GONE)
    short = replace(
        key("bob", secret="b2", expires="2029-01-01"), old_hash=fingerprint("b1"), old_until=GONE
    )
    writer = await Control.built(tmp_path, turned, short)
    async with working(tmp_path) as worker:
        ends = []
        for secret in ("old", "new", "b1"):
            found = await worker.callers.find(fingerprint(secret))
            assert found is not None
            ends.append(found.expires)
        assert ends == [
            GONE.timestamp(), None, datetime(2029, 1, 1, tzinfo=UTC).timestamp()
        ]  # fmt: skip
        await writer.change(2, replace(turned, old_until=datetime(2029, 6, 1, tzinfo=UTC)))
        await worker.callers.look()
        again = await worker.callers.find(fingerprint("old"))
        assert again is not None and again.expires is not None and again.expires < GONE.timestamp()
    await writer.close()


async def test_before_the_directory_is_whole_nobody_is_called_unknown(tmp_path: Path) -> None:
    async with working(tmp_path) as worker:
        with pytest.raises(StoreUnavailable) as refused:
            await worker.name("ada")
        assert refused.value.status == 503
        assert dict(refused.value.headers)[b"retry-after"] == b"1"
        assert worker.callers.why_not() is not None
        writer = await Control.built(tmp_path, key("ada"))
        await worker.callers.look()
        assert worker.callers.why_not() is None
        assert await worker.name("ada") == "ada"
        assert await worker.name("eve") is None
    await writer.close()


async def test_who_was_known_stays_so_while_the_file_is_gone(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path, key("ada"), key("bob"))
    async with working(tmp_path) as worker:
        await worker.name("ada")
        await worker.name("eve")
        in_folder(tmp_path).write_bytes(b"nonsense" * 4096)
        in_folder(tmp_path).unlink()
        await worker.callers.look()
        assert await worker.name("ada") == "ada"
        assert await worker.name("eve") is None
        with pytest.raises(StoreUnavailable):
            await worker.name("bob")
        await writer.rebuild(key("bob"), seq=3)
        await worker.callers.look()
        assert await worker.name("ada") is None
        assert await worker.name("bob") == "bob"
    await writer.close()


async def test_a_document_that_is_not_understood_lets_nobody_in(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path, key("ada", clearance="cosmic"), key("bob"))
    async with working(tmp_path) as worker:
        with pytest.raises(StoreUnavailable):
            await worker.name("ada")
        assert await worker.name("bob") == "bob"
    await writer.close()


async def test_keys_of_a_deleted_team_are_refused(tmp_path: Path) -> None:
    red = scope("team", "red", rpm=1)
    writer = await Control.built(tmp_path, red, key("ada", team="red"), key("bob", team="blue"))
    async with working(tmp_path) as worker:
        assert [await worker.name(name) for name in ("ada", "bob")] == ["ada", "bob"]
        bob = worker.callers.known(fingerprint("bob"))
        await writer.change(2, replace(red, deleted=GONE))
        await worker.callers.look()
        for _ in range(2):  # Found in the file, then in memory.
            with pytest.raises(AccessDenied, match="team `red`"):
                await worker.name("ada")
        assert worker.callers.known(fingerprint("bob")) is bob
        await writer.change(3, red)
        await worker.callers.look()
        assert await worker.name("ada") == "ada"
    await writer.close()


async def test_a_key_is_never_known_before_the_walls_that_are_older(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path)
    async with working(tmp_path) as worker:
        await writer.change(2, scope("team", "red", rpm=3), key("ada", team="red"))
        assert await worker.name("ada") == "ada"  # Without a look in between.
        walls = worker.walls.walls(Scope("team", "red"))
        assert walls is not None and walls.rates[0].limit == 3
    await writer.close()


async def test_walls_that_changed_are_told(tmp_path: Path) -> None:
    writer = await Control.built(tmp_path, scope("team", "red", rpm=5), key("ada"))
    async with working(tmp_path) as worker:
        told = worker.forgotten
        await writer.change(2, key("ada", team="red"))
        await worker.callers.look()
        assert worker.forgotten == told
        await writer.change(3, scope("team", "red", rpm=6))
        await worker.callers.look()
        assert worker.forgotten == told + 1
        walls = worker.walls.walls(Scope("team", "red"))
        assert walls is not None and walls.rates[0].limit == 6
    await writer.close()


async def test_the_watch_sees_a_change_by_itself_and_survives_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_module, "_LOOK", 0.01)
    writer = await Control.built(tmp_path, key("ada"))
    async with working(tmp_path) as worker:
        told = asyncio.Event()
        failures = 0

        def fail_once() -> None:
            nonlocal failures
            failures += 1
            if failures == 1:
                raise RuntimeError("a bug")
            told.set()

        worker.callers._changed = fail_once
        worker.callers.start()
        await writer.change(2, scope("team", "red", rpm=1), deleted(key("ada"), 2))
        async with asyncio.timeout(5):
            await told.wait()
        assert failures == 2
        assert await worker.name("ada") is None
        assert worker.walls.walls(Scope("team", "red")) is not None
    await writer.close()
