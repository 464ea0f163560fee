"""Reports from a real PostgreSQL, against sums worked out from the records one by one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from proxy.core.accounting import Dimension, Figures, Group, StoreAway, UsageQuery, UsageRow
from proxy.stores.postgres.reports import EXPORTED, PostgresReports
from proxy.stores.postgres.reports_sql import Statement, dearest_first, page, totals
from proxy.stores.postgres.usage_rows import when
from proxy.usage.report import DIMENSIONS
from proxy.wire.record import UsageRecord
from tests.fakes.postgres import query
from tests.unit.stores.records import HOUR, NOON, record
from tests.unit.usage_report.books import added, figures_of, keep, mixed_books

BEGIN = datetime(2025, 11, 20, 12, tzinfo=UTC)
ALL = UsageQuery(("team",), BEGIN)

_OF: dict[str, Callable[[UsageRecord], str | datetime]] = {
    "team": lambda r: r.team or "",
    "key": lambda r: r.key,
    "user": lambda r: r.user or "",
    "project": lambda r: r.project or "",
    "operation": lambda r: r.operation,
    "hour": lambda r: when(r.at - r.at % HOUR),
    "day": lambda r: when(r.at).replace(hour=0, minute=0, second=0, microsecond=0),
}


async def _report(dsn: str, asked: UsageQuery) -> tuple[Figures, list[UsageRow]]:
    async with PostgresReports(lambda: dsn).report(asked) as report:
        return report.totals, [row async for row in report.rows()]


@pytest.mark.parametrize("by", [(name,) for name in _OF] + [("day", "team", "user")])
async def test_a_report_is_the_sum_of_its_records(postgres: str, by: tuple[Dimension, ...]) -> None:
    books = mixed_books()
    await keep(postgres, books)
    groups: dict[Group, list[UsageRecord]] = {}
    for each in books:
        groups.setdefault(tuple(_OF[name](each) for name in by), []).append(each)
    found, rows = await _report(postgres, UsageQuery(by, BEGIN))
    assert {row.group: row.figures for row in rows} == {
        group: figures_of(records) for group, records in groups.items()
    }
    assert found == figures_of(books)


@pytest.mark.parametrize("by", [("model",), ("provider", "model"), DIMENSIONS[:5]])
async def test_attempts_elsewhere_move_tokens_but_no_sum(
    postgres: str, by: tuple[Dimension, ...]
) -> None:
    books = mixed_books()
    await keep(postgres, books)
    found, rows = await _report(postgres, UsageQuery(by, BEGIN))
    assert found == added(rows) == figures_of(books)
    if by == ("model",):
        mini = next(row.figures for row in rows if row.group == ("gpt-4o-mini",))
        assert (mini.requests, mini.cost) == (0, 1502)


async def test_a_request_counts_for_each_of_its_tags_and_once_in_total(postgres: str) -> None:
    books = mixed_books()
    await keep(postgres, books)
    found, rows = await _report(postgres, UsageQuery(("tag",), BEGIN))
    assert found == figures_of(books)
    for name in ("night", "batch", "x"):
        [row] = [row for row in rows if row.group == (name,)]
        assert row.figures == figures_of(r for r in books if name in r.tags)
    assert added(rows).requests > found.requests


@pytest.mark.parametrize("by", [("tag",), ("team",)])
async def test_a_condition_on_a_tag_finds_all_that_have_it(
    postgres: str, by: tuple[Dimension, ...]
) -> None:
    books = mixed_books()
    await keep(postgres, books)
    expected = figures_of(r for r in books if "batch" in r.tags)
    found, rows = await _report(postgres, UsageQuery(by, BEGIN, None, (("tag", ("batch",)),)))
    assert found == added(rows) == expected


async def test_conditions_of_one_dimension_are_alternatives_and_of_two_both_hold(
    postgres: str,
) -> None:
    books = mixed_books()
    await keep(postgres, books)
    where: tuple[tuple[Dimension, tuple[str, ...]], ...] = (
        ("team", ("team-1", "")),
        ("user", ("u0", "u2", "")),
    )
    found, _ = await _report(postgres, UsageQuery(("key",), BEGIN, None, where))
    assert found == figures_of(
        r for r in books if r.team in {"team-1", None} and r.user in {"u0", "u2", None}
    )


async def test_a_period_ends_before_its_end(postgres: str) -> None:
    books = mixed_books()
    await keep(postgres, books)
    since, until = BEGIN + timedelta(hours=1), BEGIN + timedelta(hours=3)
    found, rows = await _report(postgres, UsageQuery(("hour",), since, until))
    assert [row.group for row in rows] == [(since,), (since + timedelta(hours=1),)]
    assert found == figures_of(r for r in books if since <= when(r.at) < until)


async def test_the_dearest_come_first_but_times_in_their_order(postgres: str) -> None:
    await keep(postgres, mixed_books())
    _, rows = await _report(postgres, UsageQuery(("user",), BEGIN))
    costs = [row.figures.cost for row in rows]
    assert costs == sorted(costs, reverse=True)
    _, rows = await _report(postgres, UsageQuery(("user", "day"), BEGIN))
    order = [(row.group[1], -row.figures.cost) for row in rows]
    assert order == sorted(order)


@pytest.mark.parametrize("by", [("hour", "team"), ("user", "day", "tag"), DIMENSIONS])
async def test_pages_are_the_whole_report(postgres: str, by: tuple[Dimension, ...]) -> None:
    await keep(postgres, mixed_books())
    reports, asked = PostgresReports(lambda: postgres), UsageQuery(by, BEGIN)
    found, whole = await _report(postgres, asked)
    rows: list[UsageRow] = []
    more, sizes = True, []
    while more:
        got = await reports.page(asked, 7, rows[-1].group if rows else None)
        assert got.totals == (None if rows else found)
        rows += got.rows
        more = got.more
        sizes.append(len(got.rows))
    assert set(sizes[:-1]) <= {7}
    assert len(rows) == len(whole)
    assert {row.group: row.figures for row in rows} == {row.group: row.figures for row in whole}


async def test_sums_beyond_64_bits_are_exact(postgres: str) -> None:
    large = 2**62 + 1
    books = [record(n, cost=large, attempts=(), at=NOON + n * HOUR) for n in range(4)]
    await keep(postgres, books)
    found, rows = await _report(postgres, ALL)
    assert found.cost == added(rows).cost == 4 * large


async def test_nothing_is_a_report_too(postgres: str) -> None:
    assert await _report(postgres, ALL) == (Figures(), [])
    assert (await PostgresReports(lambda: postgres).page(ALL, 10, None)).totals == Figures()


async def test_an_export_has_every_record_once_in_the_order_of_time(postgres: str) -> None:
    books = [
        record(n, at=NOON + n * 7 * HOUR // 100, cost=None if n == 3 else n) for n in range(1200)
    ]
    await keep(postgres, books[::-1])
    async with PostgresReports(lambda: postgres).records(BEGIN, None, ()) as batches:
        found = [batch async for batch in batches]
    assert max(map(len, found)) <= 500
    rows = [dict(zip(EXPORTED, row, strict=True)) for batch in found for row in batch]
    assert [row["id"] for row in rows] == [each.id for each in books]
    assert [row["cost"] for row in rows] == [each.cost for each in books]
    assert not {"content_input", "content_output"} & rows[0].keys()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ((("team", ("team-1",)),), lambda r: r.team == "team-1"),
        ((("tag", ("batch",)),), lambda r: "batch" in r.tags),
        ((("tag", ("",)),), lambda r: not r.tags),
        ((("model", ("gpt-4o",)), ("user", ("u1", "u2"))), lambda r: r.user in {"u1", "u2"}),
    ],
)
async def test_an_export_can_be_narrowed(
    postgres: str,
    where: tuple[tuple[str, tuple[str, ...]], ...],
    expected: Callable[[UsageRecord], bool],
) -> None:
    books = mixed_books()
    await keep(postgres, books)
    since, until = BEGIN + timedelta(hours=2), BEGIN + timedelta(hours=20)
    async with PostgresReports(lambda: postgres).records(since, until, where) as batches:
        found = [row[EXPORTED.index("id")] async for batch in batches for row in batch]
    wanted = [r for r in books if since <= when(r.at) < until and expected(r)]
    assert sorted(found) == sorted(each.id for each in wanted)


_MANY = """
INSERT INTO usage_hourly
SELECT timestamptz '2025-11-20 12:00Z' + make_interval(hours => n % 168),
    decode(md5(n::text), 'hex'), true, 'key-' || n % 1200, 'team-' || n % 20, '', '', '',
    'model-' || n % 12, 'openai', 'chat', 50, 50, 0, 0, 0, 0, 0, 0, 50, 50,
    1000, 500, 100, 0, 10, 0, 0, 0, 75, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1
FROM generate_series(0, 199999) n
"""


def _relations(plan: str) -> set[str]:
    words = plan.replace("(", " ").split()
    return {after for word, after in pairwise(words) if word == "on"}


async def test_ten_million_requests_are_reported_from_their_roll_ups(postgres: str) -> None:
    await query(postgres, _MANY)
    await query(postgres, "ANALYZE usage_hourly")
    asked = UsageQuery(("model",), BEGIN)
    found, rows = await _report(postgres, asked)
    assert (found.requests, found.cost, len(rows)) == (10_000_000, 15_000_000, 12)
    for statement in (totals(asked), page(asked, 100, ("model-1",)), dearest_first(asked)):
        plan = await _plan(postgres, statement)
        assert _relations(plan) <= {"usage_hourly", "usage_hourly_pkey"}, plan
    # A short period reads the part of the index that it is in, not all of the table.
    short = UsageQuery(("model",), BEGIN, BEGIN + timedelta(hours=2))
    assert "usage_hourly_pkey" in await _plan(postgres, dearest_first(short))


async def _plan(dsn: str, statement: Statement) -> str:
    lines = await query(dsn, f"EXPLAIN {statement.text}", *statement.values)
    return "\n".join(line for (line,) in lines)


async def test_a_store_without_tables_says_what_to_do(empty_postgres: str) -> None:
    with pytest.raises(StoreAway, match="llm-proxy migrate"):
        await PostgresReports(lambda: empty_postgres).page(ALL, 10, None)


async def test_a_store_that_is_away_is_away() -> None:
    with pytest.raises(StoreAway, match="being started"):
        await PostgresReports(lambda: None).page(ALL, 10, None)
    nobody = "postgresql://u:hidden-password@/db?host=/no/such/folder"
    with pytest.raises(StoreAway) as away:
        await PostgresReports(lambda: nobody).page(ALL, 10, None)
    assert "hidden-password" not in str(away.value)


async def test_positions_are_those_of_the_segments_asked_for(postgres: str) -> None:
    await keep(postgres, mixed_books())
    reports = PostgresReports(lambda: postgres)
    assert await reports.positions(["spool/segment", "spool/other"]) == {"spool/segment": 1}
    assert await reports.positions([]) == {}


async def test_an_error_of_whoever_reads_is_not_the_stores(postgres: str) -> None:
    with pytest.raises(BrokenPipeError):
        async with PostgresReports(lambda: postgres).report(ALL):
            raise BrokenPipeError
