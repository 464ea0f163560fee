"""Rows, roll-ups and positions in PostgreSQL: what one call of `ship` does and refuses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime

import asyncpg
import pytest

from proxy.core.accounting import RecordsRefused, StoreAway
from proxy.stores.postgres.partitions import partition_days
from proxy.stores.postgres.usage import PostgresUsage
from proxy.wire.record import Content, UsageRecord
from tests.fakes.postgres import query, tcp_door, through
from tests.fakes.tcp import TcpProxy
from tests.unit.stores.records import (
    DAY,
    HOUR,
    NOON,
    assert_books_agree,
    attempt,
    record,
    records,
    spending,
)
from tests.unit.stores.transaction_pooler import TransactionPooler


@pytest.fixture(params=[True, False], ids=["copy", "unnest"])
async def store(request: pytest.FixtureRequest, postgres: str) -> AsyncIterator[PostgresUsage]:
    made = PostgresUsage(postgres, copy=request.param)
    yield made
    assert made.copies == request.param
    await made.close()


async def test_every_field_arrives(store: PostgresUsage, postgres: str) -> None:
    sent = record(
        1,
        tags=('a "quoted" tag', "back\\slash", "{,}", "NULL", ""),
        user="üser",
        parent="d" * 16,
        code="x",
        content=Content(input="in", output="out"),
        sampled=False,
    )
    assert await store.ship("s/1", 0, 10, [sent]) == 10
    [row] = await query(
        postgres,
        "SELECT at, id, tags, user_id, parent, code, content_input, content_output, sampled,"
        " cost, unpriced, first_token_us, attempts->0->>'provider',"
        " (attempts->0->'cost'->>'total')::bigint, project, status, error FROM usage",
    )
    assert row == (
        *(datetime(2025, 11, 20, 12, 0, 0, 1000, UTC), sent.id, list(sent.tags), "üser", "d" * 16),
        *("x", "in", "out", False, sent.cost, False, 400_000, "openai", sent.cost, "", 200, ""),
    )
    await assert_books_agree(postgres, [sent])


async def test_what_is_not_known_is_null(store: PostgresUsage, postgres: str) -> None:
    bare = UsageRecord("req_1", NOON, "w", "c", "chat", "refused", 401, 5)
    unpriced = record(2, cost=None, unpriced=True)
    await store.ship("s/1", 0, 10, [bare, unpriced])
    assert await query(
        postgres, "SELECT cost, unpriced, first_token_us, input_tokens FROM usage ORDER BY id"
    ) == [(None, True, 400_000, 102), (None, False, None, 0)]
    await assert_books_agree(postgres, [bare, unpriced])


async def test_a_batch_ships_once(store: PostgresUsage, postgres: str) -> None:
    sent = records(50)
    assert await store.ship("s/1", 0, 100, sent) == 100
    assert await store.ship("s/1", 0, 100, sent) == 100
    assert await store.ship("s/1", 0, 60, sent) == 100
    assert await store.position("s/1") == 100
    await assert_books_agree(postgres, sent)


async def test_a_position_from_nowhere_ships_nothing(store: PostgresUsage, postgres: str) -> None:
    assert await store.ship("s/1", 70, 100, records(5)) == 0
    assert await store.position("s/1") == 0
    await assert_books_agree(postgres, [])


async def test_racing_for_the_same_batch(postgres: str) -> None:
    sent = records(200)
    stores = [PostgresUsage(postgres) for _ in range(4)]
    for start in range(0, 200, 50):
        each = sent[start : start + 50]
        moved = await asyncio.gather(
            *(store.ship("s/1", start, start + 50, each) for store in stores)
        )
        assert moved == [start + 50] * 4
    await assert_books_agree(postgres, sent)
    for store in stores:
        await store.close()


async def test_a_restored_spool_adds_nothing(store: PostgresUsage, postgres: str) -> None:
    sent = records(20)
    await store.ship("s/1", 0, 100, sent)
    assert await store.ship("copy/1", 0, 100, [*sent, *records(3, start=20), sent[0]]) == 100
    assert await store.position("copy/1") == 100
    await assert_books_agree(postgres, records(23))


async def test_only_bad_lines_move_the_position(store: PostgresUsage) -> None:
    assert await store.ship("s/1", 0, 33, []) == 33
    assert await store.position("s/1") == 33


async def test_nul_characters_do_not_leave_the_books(store: PostgresUsage, postgres: str) -> None:
    sent = [
        record(1, user="a\0b", tags=("t\0",)),
        record(2, attempts=(attempt(2, model="m\0"), attempt(2, model="\\u0000"))),
        record(3),
    ]
    assert await store.ship("s/1", 0, 9, sent) == 9
    assert await query(
        postgres,
        "SELECT user_id, tags, attempts->0->>'model', attempts->1->>'model' FROM usage"
        " ORDER BY id LIMIT 2",
    ) == [("a\ufffdb", ["t\ufffd"], "gpt-4o", None), ("", ["night", "batch"], "m\ufffd", "\\u0000")]
    await assert_books_agree(postgres, sent)


@pytest.mark.parametrize(
    "bad",
    [record(1, at=10**19), record(1, bytes_in=2**63), record(1, status=2**40)],
    ids=["year", "bigint", "integer"],
)
async def test_what_cannot_be_kept_is_refused(
    store: PostgresUsage, postgres: str, bad: UsageRecord
) -> None:
    with pytest.raises(RecordsRefused):
        await store.ship("s/1", 0, 10, [record(0), bad])
    assert await store.position("s/1") == 0
    assert await store.ship("s/1", 0, 10, [record(0)]) == 10
    await assert_books_agree(postgres, [record(0)])


async def test_long_and_hostile_names_are_no_trouble(store: PostgresUsage, postgres: str) -> None:
    import random

    noise = "".join(chr(random.Random(1).randrange(0x4E00, 0x9FFF)) for _ in range(9000))
    sent = [record(1, user=noise), record(2, tags=tuple(f"{noise}{n}" for n in range(20)))]
    assert await store.ship("s/1", 0, 10, sent) == 10
    await assert_books_agree(postgres, sent)


async def test_records_of_any_day(store: PostgresUsage, postgres: str) -> None:
    days = (NOON - 400 * DAY, 0, NOON - DAY, NOON, NOON + 40 * DAY)
    sent = [record(n, at=at) for n, at in enumerate(days)]
    assert await store.ship("s/1", 0, 10, sent) == 10
    await assert_books_agree(postgres, sent)


async def test_midnight_belongs_to_the_new_day(store: PostgresUsage, postgres: str) -> None:
    midnight = NOON + DAY // 2
    await store.ship("s/1", 0, 10, [record(1, at=midnight - 1), record(2, at=midnight)])
    assert await query(postgres, "SELECT count(*) FROM usage_20251120") == [(1,)]
    assert await query(postgres, "SELECT count(*) FROM usage_20251121") == [(1,)]


async def test_retention_drops_days_and_keeps_hours(store: PostgresUsage, postgres: str) -> None:
    old = [record(n, at=NOON - n * DAY) for n in range(4)]
    await store.ship("s/1", 0, 10, old)
    before = date(2025, 11, 19)
    assert await store.drop_partitions(before) == [date(2025, 11, 17), date(2025, 11, 18)]
    assert await query(postgres, "SELECT count(*) FROM usage") == [(2,)]
    assert await query(postgres, "SELECT sum(requests) FROM usage_hourly WHERE tag_first") == [(4,)]
    late = record(9, at=NOON - 2 * DAY)
    assert await store.ship("s/1", 10, 20, [late]) == 20
    assert await query(postgres, "SELECT count(*) FROM usage") == [(3,)]


async def test_a_partition_dropped_by_somebody_else(store: PostgresUsage, postgres: str) -> None:
    await store.ship("s/1", 0, 10, [record(1)])
    await query(postgres, "DROP TABLE usage_20251120")
    assert await store.ship("s/1", 10, 20, [record(2)]) == 20
    assert await query(postgres, "SELECT count(*) FROM usage") == [(1,)]


async def test_several_stores_make_partitions_at_once(postgres: str) -> None:
    stores = [PostgresUsage(postgres) for _ in range(4)]
    days = [[record(n, id=f"{s}-{n}", at=NOON + n * DAY) for n in range(5)] for s in range(4)]
    await asyncio.gather(*(each.ship(f"s/{n}", 0, 9, days[n]) for n, each in enumerate(stores)))
    connection = await asyncpg.connect(postgres)
    assert len(await partition_days(connection)) == 5
    await connection.close()
    await assert_books_agree(postgres, [each for day in days for each in day])
    for each in stores:
        await each.close()


def answers(rows: Sequence[tuple[object, ...]]) -> dict[object, tuple[object, ...]]:
    return {row[0]: row[1:] for row in rows}


async def test_a_fallback_is_paid_where_it_was_spent(store: PostgresUsage, postgres: str) -> None:
    usage, cost = spending(0)
    first = attempt(0, "anthropic", "claude")
    sent = record(0, attempts=(first, attempt(0)), usage=usage, cost=3 * cost.total, tags=())
    await store.ship("s/1", 0, 10, [sent])
    rows = await query(
        postgres,
        "SELECT provider, sum(requests), sum(attempts), sum(cost), sum(cost_input),"
        " sum(input_tokens) FROM usage_hourly GROUP BY 1",
    )
    assert answers(rows) == {
        "anthropic": (0, 1, 1500, 1000, 100),
        "openai": (1, 1, 3000, 1000, 0),  # What the attempts left over, and the second attempt.
    }
    await assert_books_agree(postgres, [sent])


async def test_outcomes_have_columns(postgres: str) -> None:
    columns = {
        "completed": "completed",
        "failed": "failed",
        "refused": "refused",
        "upstream_cut": "cut",
        "client_gone": "gone",
        "cached": "cached",
    }
    store = PostgresUsage(postgres)
    for n, outcome in enumerate(columns):
        sent = record(n, at=NOON + n * HOUR, outcome=outcome, stream=False, overhead=None)
        await store.ship("s/1", n, n + 1, [sent])
    await store.close()
    rows = await query(
        postgres,
        f"SELECT {', '.join(columns.values())}, requests, streams, overheads FROM usage_hourly"
        " WHERE tag_first ORDER BY hour",
    )
    assert rows == [(*(int(n == at) for n in range(6)), 1, 0, 0) for at in range(6)]


async def test_a_new_database_gets_its_schema(empty_postgres: str) -> None:
    store = PostgresUsage(empty_postgres)
    assert await store.ship("s/1", 0, 10, records(3)) == 10
    await store.close()
    await assert_books_agree(empty_postgres, records(3))


async def test_positions_of_vanished_segments_are_forgotten(
    store: PostgresUsage, postgres: str
) -> None:
    for name in ("ours/old", "ours/kept", "ours/new", "theirs/old"):
        await store.ship(name, 0, 5, [])
    await query(
        postgres,
        "UPDATE spool_offsets SET shipped_at = now() - interval '2 days'"
        " WHERE segment <> 'ours/new'",
    )
    await store.forget("ours/", ["ours/kept"])
    assert await query(postgres, "SELECT segment FROM spool_offsets ORDER BY 1") == [
        ("ours/kept",),
        ("ours/new",),
        ("theirs/old",),
    ]


async def test_nobody_there() -> None:
    link = TcpProxy(1)
    async with link:
        link.refuse()
        store = PostgresUsage(f"postgresql://u:p@127.0.0.1:{link.port}/d?sslmode=disable")
        with pytest.raises(StoreAway):
            await store.position("s/1")
        await store.close()


async def test_behind_a_transaction_pooler(postgres: str, caplog: pytest.LogCaptureFixture) -> None:
    async with tcp_door(postgres) as port, TransactionPooler(port) as pooler:
        dsn = through(postgres, pooler.port)
        stores = [PostgresUsage(dsn) for _ in range(2)]
        for n, store in enumerate(stores):
            at = 0
            for start in range(0, 200, 20):
                sent = records(20, start=1000 * n + start)
                while at != start + 20:
                    with contextlib.suppress(StoreAway):
                        at = await store.ship(f"s/{n}", start, start + 20, sent)
        assert [store.copies for store in stores] == [False, False]
        for store in stores:
            await store.close()
    assert "no prepared statements here" in caplog.text
    await assert_books_agree(postgres, [*records(200), *records(200, start=1000)])


async def test_a_commit_lasts_whatever_the_database_says(postgres: str) -> None:
    [(name,)] = await query(postgres, "SELECT current_database()")
    await query(postgres, f"ALTER DATABASE {name} SET synchronous_commit = off")
    await query(
        postgres,
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " NEW.segment := NEW.segment || current_setting('synchronous_commit'); RETURN NEW; END $$",
    )
    await query(
        postgres,
        "CREATE TRIGGER note BEFORE INSERT ON spool_offsets FOR EACH ROW EXECUTE FUNCTION note()",
    )
    store = PostgresUsage(postgres)
    await store.ship("s/", 0, 10, [record(1)])
    assert await query(postgres, "SELECT segment FROM spool_offsets") == [("s/on",)]
    await store.close()


async def test_a_database_that_lost_its_schema(postgres: str) -> None:
    store = PostgresUsage(postgres)
    await store.ship("s/1", 0, 10, [record(1)])
    await query(postgres, "DROP SCHEMA public CASCADE")
    await query(postgres, "CREATE SCHEMA public")
    with pytest.raises(StoreAway, match='relation "spool_offsets" does not exist'):
        await store.ship("s/1", 10, 20, [record(2)])
    assert await store.ship("s/1", 10, 20, [record(2)]) == 0
    assert await store.ship("s/1", 0, 20, [record(1), record(2)]) == 20
    await assert_books_agree(postgres, [record(1), record(2)])
    await store.close()


async def test_a_stalled_link_holds_nobody_up(postgres: str) -> None:
    async with tcp_door(postgres) as port, TcpProxy(port) as link:
        store = PostgresUsage(through(postgres, link.port))
        await store.ship("s/1", 0, 10, [record(1)])
        link.stall()
        before = link.received
        shipping = asyncio.get_running_loop().create_task(store.ship("s/1", 10, 20, [record(2)]))
        async with asyncio.timeout(10):
            while link.received == before:
                await asyncio.sleep(0.005)
        shipping.cancel()
        await asyncio.wait({shipping}, timeout=5)
        assert shipping.cancelled()
        link.flow()
        assert await store.ship("s/1", 10, 20, [record(2)]) == 20
        await store.close()
    await assert_books_agree(postgres, records(3)[1:])
