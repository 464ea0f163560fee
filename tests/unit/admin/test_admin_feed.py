"""What control follows: everything once, then what changes, whatever becomes of the link."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.core.accounting import StoreAway
from proxy.core.identity import Changes, StoredKey, StoredScope
from proxy.stores.postgres.identity_feed import PostgresFeed
from tests.fakes.postgres import postgres, postgres_server, query
from tests.unit.admin.admin_port import admin_port

__all__ = ["postgres", "postgres_server"]


async def _all(feed: PostgresFeed) -> tuple[int, list[StoredKey], list[StoredScope]]:
    keys: list[StoredKey] = []
    scopes: list[StoredScope] = []
    async with feed.snapshot() as snapshot:
        async for batch in snapshot.batches:
            keys += batch.keys
            scopes += batch.scopes
    return snapshot.seq, keys, scopes


async def test_a_snapshot_has_all_that_lives(postgres: str) -> None:
    feed = PostgresFeed(lambda: postgres)
    assert await _all(feed) == (0, [], [])
    async with admin_port(postgres) as ask:
        for name in ("t", "unused"):
            await ask("POST", "/admin/teams", {"name": name, "limits": {"rpm": 1}})
        kept = await ask.make("kept", team="t")
        gone = await ask.make("gone")
        await ask("DELETE", f"/admin/keys/{gone['id']}", match="*")
        for name in ("t", "unused"):
            await ask("DELETE", f"/admin/teams/{name}", match="*")
    seq, keys, scopes = await _all(feed)
    assert seq == 7
    assert [(key.id, key.document) for key in keys] == [(kept["id"], {"name": "kept", "team": "t"})]
    assert keys[0].hash == hashlib.sha256(kept["key"].encode()).digest()
    # Also one that no key of the store names: a token or the configuration may.
    shown = [(scope.id, scope.deleted is None) for scope in scopes]
    assert shown == [("team:t", False), ("team:unused", False)]


async def test_a_snapshot_of_many_is_whole_and_one_moment(postgres: str) -> None:
    await query(
        postgres,
        """
        INSERT INTO keys (id, hash, document, version, seq, created, changed)
        SELECT 'key_' || lpad(n::text, 26, '0'), sha256(n::text::bytea),
            jsonb_build_object('name', 'k' || n), 1, 0, now(), now()
        FROM generate_series(1, 2500) n
        """,
    )
    await query(
        postgres,
        """
        INSERT INTO scopes (kind, name, document, version, seq, created, changed)
        SELECT kind, 'n' || n, '{}', 1, 0, now(), now()
        FROM generate_series(1, 1000) n, unnest(ARRAY['team', 'user']) kind
        """,
    )
    found: list[str] = []
    async with PostgresFeed(lambda: postgres).snapshot() as snapshot:
        async for batch in snapshot.batches:
            if not found:
                await query(postgres, "UPDATE keys SET deleted = now()")
            found += [scope.id for scope in batch.scopes] + [key.id for key in batch.keys]
    assert len(found) == len(set(found)) == 4500


async def test_changes_are_those_after_a_number(postgres: str) -> None:
    feed = PostgresFeed(lambda: postgres)
    async with admin_port(postgres) as ask:
        first = await ask.make("first")
        await ask.make("second")
        await ask("POST", "/admin/teams", {"name": "t"})
        await ask("DELETE", f"/admin/keys/{first['id']}", match="*")
    found = await feed.changes(0)
    assert (found.seq, found.more, found.lost) == (4, False, False)
    assert [(key.name, key.seq) for key in found.keys] == [("second", 2), ("first", 4)]
    assert found.keys[1].deleted is not None
    found = await feed.changes(2)
    assert [key.name for key in found.keys] == ["first"]
    assert [scope.id for scope in found.scopes] == ["team:t"]
    assert await feed.changes(4) == Changes(4)
    assert await feed.changes(5) == Changes(4, lost=True)


async def test_many_changes_come_in_parts_and_none_is_left_out(postgres: str) -> None:
    await query(
        postgres,
        """
        INSERT INTO keys (id, hash, document, version, seq, created, changed)
        SELECT 'key_' || lpad(n::text, 26, '0'), sha256(n::text::bytea),
            jsonb_build_object('name', 'k' || n), 1, n * 2, now(), now()
        FROM generate_series(1, 1500) n
        """,
    )
    await query(
        postgres,
        """
        INSERT INTO scopes (kind, name, document, version, seq, created, changed)
        SELECT 'team', 'n' || n, '{}', 1, n * 2 + 1, now(), now() FROM generate_series(1, 1499) n
        """,
    )
    await query(
        postgres,
        """
        INSERT INTO audit (seq, at, actor, address, action, kind, id, previous, hash)
        VALUES (3000, now(), '', '', '', '', '', '', '')
        """,
    )
    feed, after, seen = PostgresFeed(lambda: postgres), 0, []
    for _ in range(9):
        found = await feed.changes(after)
        after = found.seq
        seen += [key.seq for key in found.keys] + [scope.seq for scope in found.scopes]
        if not found.more:
            break
    assert after == 3000
    assert sorted(seen) == list(range(2, 3001))


@asynccontextmanager
async def _following(feed: PostgresFeed) -> AsyncIterator[asyncio.Event]:
    news = asyncio.Event()
    task = asyncio.get_running_loop().create_task(feed.follow(news.set))
    try:
        yield news
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _heard(news: asyncio.Event, within: float) -> None:
    async with asyncio.timeout(within):
        await news.wait()
    news.clear()


async def test_a_change_is_heard_at_once(postgres: str) -> None:
    async with admin_port(postgres) as ask, _following(PostgresFeed(lambda: postgres)) as news:
        await _heard(news, 5)
        await ask.make("a")
        await _heard(news, 0.5)


async def test_a_broken_link_is_made_anew(postgres: str) -> None:
    async with admin_port(postgres) as ask, _following(PostgresFeed(lambda: postgres)) as news:
        await _heard(news, 5)
        await query(
            postgres,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()",
        )
        await _heard(news, 5)
        await ask.make("a")
        await _heard(news, 2)


async def test_a_store_that_comes_later_is_followed(postgres: str) -> None:
    address: list[str] = []
    feed = PostgresFeed(lambda: address[0] if address else None)
    with pytest.raises(StoreAway):
        await feed.changes(0)
    async with _following(feed) as news:
        address.append(postgres)
        await _heard(news, 5)
