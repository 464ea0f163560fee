"""Rows that we encode for COPY against rows that asyncpg encodes, as PostgreSQL tells them."""

from collections.abc import Sequence
from typing import Any, get_args

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.stores.postgres import usage_copy, usage_hourly
from proxy.stores.postgres.partitions import make_partitions
from proxy.stores.postgres.usage_copy import CopyRows
from proxy.stores.postgres.usage_rows import COLUMNS, NAMES, row_of, when
from proxy.wire.record import AttemptRecord, Content, Cost, Outcome, Usage, UsageRecord, UsageSource
from tests.examples import examples
from tests.unit.stores.records import NOON, record

WORDS = st.sampled_from(["", "a", "ü\U0001f600", 'q"\\{},NULL', "x" * 300, "9" * 9_000])
MAYBE = st.none() | WORDS
NUMBERS = st.sampled_from([0, 1, -1, 70_000, (1 << 63) - 1, -(1 << 63)])
PERHAPS = st.none() | NUMBERS
SOURCES = st.sampled_from([None, *get_args(UsageSource)])
USAGES = st.none() | st.builds(Usage, *[NUMBERS] * 8)
ATTEMPTS = st.builds(
    AttemptRecord,
    provider=WORDS,
    model=WORDS,
    started=NUMBERS,
    ended=NUMBERS,
    head=PERHAPS,
    first_byte=PERHAPS,
    status=st.sampled_from([0, 200, 503]),
    error=MAYBE,
    usage=USAGES,
    usage_source=SOURCES,
    cost=st.none() | st.builds(Cost, *[NUMBERS] * 10),
    span=MAYBE,
    reason=MAYBE,
    rescue=MAYBE,
    route=MAYBE,
    hedge=st.booleans(),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "at": st.integers(0, 3_600_000_000).map(lambda after: NOON + after),
    **dict.fromkeys(("worker", "config", "operation", "key"), WORDS),
    **dict.fromkeys(("team", "user", "project", "customer", "agent", "session"), MAYBE),
    **dict.fromkeys(("model", "route", "rule", "served_provider", "served_model"), MAYBE),
    **dict.fromkeys(("error", "code", "cache", "prices", "trace", "span", "parent"), MAYBE),
    "outcome": st.sampled_from(get_args(Outcome)),
    "status": st.sampled_from([0, 200, 499, (1 << 31) - 1]),
    "tags": st.lists(WORDS, max_size=3).map(tuple),
    **dict.fromkeys(("stream", "unpriced", "sampled"), st.booleans()),
    **dict.fromkeys(("done", "bytes_in", "bytes_out", "arrived"), NUMBERS),
    **dict.fromkeys(("admitted", "first_token", "overhead", "cost"), PERHAPS),
    "usage": USAGES,
    "usage_source": SOURCES,
    "attempts": st.lists(ATTEMPTS, max_size=2).map(tuple),
    "content": st.none() | st.builds(Content, input=MAYBE, output=MAYBE),
}
CHANGES = st.sets(st.sampled_from(sorted(FIELDS)), max_size=8).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)


@pytest.fixture
async def connection(postgres: str) -> Any:
    made = await asyncpg.connect(postgres)
    await make_partitions(made, {when(NOON).date()})
    yield made
    await made.close()


async def kept(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    """All rows, and then none any more."""
    rows = await connection.fetch(f"DELETE FROM usage RETURNING {', '.join(NAMES)}")
    return sorted((tuple(row) for row in rows), key=lambda row: str(row[1]))


async def same(connection: asyncpg.Connection, encode: CopyRows, sent: Sequence[Any]) -> None:
    rows = [row_of(each) for each in sent]
    await connection.copy_records_to_table("usage", records=rows, columns=NAMES)
    expected = await kept(connection)
    source, columns = memoryview(encode.of(sent)), usage_copy.NAMES
    await connection.copy_to_table("usage", source=source, columns=columns, format="binary")
    assert await kept(connection) == expected
    assert len(expected) == len(sent)


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CHANGES, min_size=1, max_size=4))
async def test_any_records(connection: asyncpg.Connection, changes: list[dict[str, Any]]) -> None:
    sent = [record(number, **each) for number, each in enumerate(changes)]
    await same(connection, CopyRows(), sent)


@pytest.mark.parametrize("name", sorted(FIELDS))
@settings(max_examples=examples(4), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
async def test_a_record_that_differs_in_one_field_only(
    connection: asyncpg.Connection, name: str, data: st.DataObject
) -> None:
    other = record(2, **{"tags": (), name: data.draw(FIELDS[name])})
    await same(connection, CopyRows(), [record(1, tags=()), other, record(3, tags=())])


def test_every_column_and_every_field() -> None:
    assert sorted(usage_copy.NAMES) == sorted(name for name, _ in COLUMNS)
    assert {"id", *FIELDS} == set(UsageRecord.__struct_fields__)


@pytest.mark.parametrize(
    "changes", [{"bytes_in": 1 << 63}, {"overhead": 1 << 63}, {"status": 1 << 31}, {"at": 1 << 62}]
)
def test_numbers_that_no_column_holds(changes: dict[str, int]) -> None:
    with pytest.raises(OverflowError):
        CopyRows().of([record(1, **changes)])


def test_what_is_kept_is_bounded() -> None:
    rows = CopyRows()
    for number in range(2 * usage_copy.KINDS_KEPT):
        _ = rows.of([record(1, model=f"m-{number}")])
        assert len(rows._kept) <= usage_copy.KINDS_KEPT
    before = dict(rows._kept)
    _ = rows.of([record(1, rule="r" * 10_000)])
    assert rows._kept == before


@settings(max_examples=examples(60))
@given(st.lists(CHANGES, min_size=1, max_size=6))
def test_hours_of_a_batch_are_those_of_its_records(changes: list[dict[str, Any]]) -> None:
    """The quick way adds up what is alike; one record is as quick either way, a tag is the slow."""
    sent = [record(number, **each) for number, each in enumerate(changes)]
    names = [name for name, _ in usage_hourly.COLUMNS]
    places = [at for at, name in enumerate(names) if name not in {"slot", "tag"}]

    def rows(tags: tuple[str, ...]) -> list[list[Any]]:
        made = [msgspec.structs.replace(each, tags=tags) for each in sent]
        columns = usage_hourly.columns_of(made)
        return sorted([row[place] for place in places] for row in zip(*columns, strict=True))

    assert rows(()) == rows(("t",))
