"""Lots in the store: the same rows, hours and sums as of the same records one by one."""

from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.core.accounting import RecordsRefused
from proxy.core.spending import added_up, charges
from proxy.stores.postgres import spent, usage_copy, usage_hourly
from proxy.stores.postgres.partitions import make_partitions
from proxy.stores.postgres.usage import PostgresUsage
from proxy.stores.postgres.usage_copy import CopyRows
from proxy.stores.postgres.usage_rows import NAMES, row_of, when
from proxy.wire.brief import Brief, Numbers
from proxy.wire.lots import Lot, sort_out, spelled_out
from proxy.wire.record import UsageRecord
from proxy.wire.record_reader import Told
from tests.examples import examples
from tests.fakes.postgres import query
from tests.unit.stores.records import record
from tests.unit.wire_usage.usual import AT, LOTS, STANDING, briefs, numbers


@pytest.fixture
async def connection(postgres: str) -> Any:
    made = await asyncpg.connect(postgres)
    await make_partitions(made, {when(at).date() for at in (0, AT)})
    yield made
    await made.close()


def whole(lots: list[Lot]) -> list[UsageRecord]:
    return [lot.whole(each) for lot in lots for each in lot.numbers]


async def kept(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    """All rows, and then none any more."""
    rows = await connection.fetch(f"DELETE FROM usage RETURNING {', '.join(NAMES)}")
    return sorted((tuple(row) for row in rows), key=repr)


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LOTS, min_size=1, max_size=3))
async def test_rows_are_the_same(connection: asyncpg.Connection, lots: list[Lot]) -> None:
    lots = [Lot(lot.standing, unlike(lot, number)) for number, lot in enumerate(lots)]
    rows = [row_of(each) for each in whole(lots)]
    await connection.copy_records_to_table("usage", records=rows, columns=NAMES)
    expected = await kept(connection)
    source = memoryview(CopyRows().of((), lots))
    columns = usage_copy.NAMES
    await connection.copy_to_table("usage", source=source, columns=columns, format="binary")
    assert await kept(connection) == expected


def unlike(lot: Lot, number: int) -> list[Numbers]:
    """Its numbers with different times, so that none is there twice."""
    return [
        msgspec.structs.replace(each, at=each.at + 1_000 * number + place)
        for place, each in enumerate(lot.numbers)
    ]


@settings(max_examples=examples(60))
@given(st.lists(LOTS, min_size=1, max_size=3))
def test_hours_are_the_same(lots: list[Lot]) -> None:
    assert usage_hourly.columns_of((), lots) == usage_hourly.columns_of(whole(lots))


@settings(max_examples=examples(60))
@given(st.lists(LOTS, min_size=1, max_size=3))
def test_what_was_spent_is_the_same(lots: list[Lot]) -> None:
    assert spent.columns_of((), lots) == spent.columns_of(whole(lots))
    by_hand: dict[Any, int] = {}
    for each in whole(lots):
        for charge in charges(each):
            place = charge.scope, charge.at - charge.at % 1_000
            by_hand[place] = by_hand.get(place, 0) + charge.cost
    assert added_up((), 1_000, lots) == by_hand


@pytest.mark.parametrize("changes", [{"bytes_in": 1 << 63}, {"overhead": 1 << 63}, {"at": 1 << 62}])
def test_numbers_that_no_column_holds(changes: dict[str, int]) -> None:
    with pytest.raises(OverflowError):
        CopyRows().of((), [Lot(STANDING, [numbers(1), numbers(2, **changes)])])


def told(count: int, **changes: object) -> list[Told]:
    """Briefs of one lot, and a record that is none."""
    return [*briefs(Lot(STANDING, [numbers(n, **changes) for n in range(count)])), record(count)]


async def test_briefs_are_kept_as_the_records_they_are(postgres: str) -> None:
    store = PostgresUsage(postgres)
    sent = told(5)
    assert await store.ship("s/1", 0, 100, sent) == 100
    records = spelled_out(sent)
    assert await query(postgres, "SELECT id, cost, trace FROM usage ORDER BY id") == sorted(
        (each.id, each.cost, each.trace or "") for each in records
    )
    cost = sum(each.cost or 0 for each in records)
    tags = "SELECT sum(cost)::bigint, sum(requests)::bigint FROM usage_hourly WHERE tag_first"
    assert await query(postgres, tags) == [(cost, len(records))]
    total = "SELECT sum(cost)::bigint FROM spent WHERE kind = 'global'"
    assert await query(postgres, total) == [(cost,)]
    await store.close()


async def test_briefs_that_are_known_already_are_left_out(postgres: str) -> None:
    store = PostgresUsage(postgres)
    sent = told(4)
    await store.ship("s/1", 0, 100, sent[:2])
    assert await store.ship("copy/1", 0, 100, [*sent, sent[0], sent[3]]) == 100
    assert await query(postgres, "SELECT count(*) FROM usage") == [(5,)]
    count = "SELECT sum(requests)::bigint FROM usage_hourly WHERE tag_first"
    assert await query(postgres, count) == [(5,)]
    await store.close()


async def test_nul_in_a_brief_costs_itself_only(postgres: str) -> None:
    store = PostgresUsage(postgres)
    sent: list[Told] = [Brief(STANDING, numbers(1, id="a\0b")), *told(3)]
    assert await store.ship("s/1", 0, 100, sent) == 100
    assert await query(postgres, "SELECT count(*) FROM usage WHERE id = 'a\ufffdb'") == [(1,)]
    assert await query(postgres, "SELECT count(*) FROM usage") == [(5,)]
    await store.close()


async def test_a_brief_that_no_row_holds_is_refused(postgres: str) -> None:
    store = PostgresUsage(postgres)
    with pytest.raises(RecordsRefused):
        await store.ship("s/1", 0, 100, [*told(2), Brief(STANDING, numbers(9, done=1 << 63))])
    assert await store.ship("s/1", 0, 100, told(2)) == 100
    await store.close()


async def test_without_copy_briefs_are_inserted(postgres: str) -> None:
    store = PostgresUsage(postgres, copy=False)
    assert await store.ship("s/1", 0, 100, told(3)) == 100
    assert await query(postgres, "SELECT count(*) FROM usage") == [(4,)]
    await store.close()


def test_sorting_out_keeps_all_in_their_order() -> None:
    sent = told(3)
    other = Brief(STANDING, numbers(7))
    lots, others = sort_out([sent[0], *sent[3:], *sent[1:3], other])
    (lot,) = lots
    assert [each.id for each in lot.numbers] == [each.id for each in (*sent[:3], other)]
    assert others == sent[3:]
    assert lot.first == spelled_out(sent)[0]
