"""Every record counts once, in each of its scopes, wherever shipping has come to."""

import asyncio
import random
from pathlib import Path

import pytest

from proxy.build.balances_child import Answering
from proxy.core.quota import Scope
from proxy.core.spending import Question
from proxy.stores.postgres.usage import PostgresUsage
from proxy.usage.segments import spool_id
from proxy.usage.shipper import Shipper, ShipperOptions
from tests.fakes.postgres import query
from tests.unit.usage_opening.opening_books import (
    ALL_TIME,
    BEGIN,
    SCOPES,
    SPANS,
    asked,
    attempt,
    drawn,
    in_parts,
    questions,
    record,
    segments_in,
    spent,
    write_segment,
)


@pytest.mark.parametrize("shipped", [0, 7, 20])
async def test_shipped_or_not_all_scopes_and_windows_are_exact(
    postgres: str, tmp_path: Path, shipped: int
) -> None:
    records = drawn(random.Random(shipped), 1000)
    for number, part in enumerate(in_parts(records, 50)):
        path = write_segment(tmp_path, part, number=number, pid=77)
        if number == shipped:
            with path.open("ab") as file:
                file.write(b"0badc0de {half a li")
    store = PostgresUsage(postgres)
    prefix = await asyncio.to_thread(spool_id, tmp_path / "spool")
    for number, path in enumerate(segments_in(tmp_path)[:shipped]):
        size = path.stat().st_size
        part = records[number * 50 : number * 50 + 50]
        assert await store.ship(f"{prefix}/{path.name}", 0, size, part) == size
        if number % 2:
            path.unlink()
    await store.close()
    answering = Answering()
    found = await answering.answer(asked(tmp_path, postgres, questions()))
    for (kind, name), sums in zip(SCOPES, found, strict=True):
        assert sums.spans == [spent(records, kind, name, span) for span in SPANS], (kind, name)
    assert found[0].spans[2] > 0
    await answering.close()


async def test_while_the_shipper_ships_no_answer_differs(postgres: str, tmp_path: Path) -> None:
    records = drawn(random.Random(1), 3000)
    for number, part in enumerate(in_parts(records, 60)):
        write_segment(tmp_path, part, number=number, pid=77)
    expected = [[spent(records, *scope, span) for span in SPANS] for scope in SCOPES]
    store = PostgresUsage(postgres)
    shipper = Shipper(tmp_path / "spool", store, ShipperOptions(batch=25))
    answering = Answering()
    task = asyncio.get_running_loop().create_task(shipper.drain(), name="test: shipper")
    answers, midway = 0, 0
    while not task.done() or answers < 3:
        midway += 0 < len(segments_in(tmp_path)) < 50
        found = await answering.answer(asked(tmp_path, postgres, questions()))
        assert [sums.spans for sums in found] == expected
        answers += 1
    await task
    assert midway > 0
    assert segments_in(tmp_path) == []
    await answering.close()
    await store.close()


async def test_what_a_soft_budget_counted_itself_is_left_out(postgres: str, tmp_path: Path) -> None:
    """Of the records of the process that asks those before `since`; of all others every one."""
    old = [record(n, BEGIN, attempt("p", 0, 1)) for n in range(3)]
    own = [record(10 + n, BEGIN + n, attempt("p", 0, 100)) for n in range(6)]
    reused = [record(20 + n, BEGIN + 100, attempt("p", 0, 10_000)) for n in range(2)]
    write_segment(tmp_path, old, number=1, pid=77)
    write_segment(tmp_path, reused, number=2, pid=42)  # An earlier process of the same number.
    path = write_segment(tmp_path, own, number=3, pid=42)
    since = own[4].at + own[4].done  # When it was written: that one counts itself.
    soft = Question(Scope("key", "alice"), (ALL_TIME,), since)
    hard = soft._replace(since=None)
    ask = asked(tmp_path, postgres, (soft, hard), pid=42, began=1_763_640_000_003)
    answering = Answering()
    store = PostgresUsage(postgres)
    lines = path.read_bytes().splitlines(keepends=True)
    prefix = await asyncio.to_thread(spool_id, tmp_path / "spool")
    position = 0
    for line, each in zip(lines, own, strict=True):
        found = await answering.answer(ask)
        assert [sums.spans for sums in found] == [[20_403], [20_603]]
        end = position + len(line)
        position = await store.ship(f"{prefix}/{path.name}", position, end, [each])
    assert [sums.spans for sums in await answering.answer(ask)] == [[20_403], [20_603]]
    await answering.close()
    await store.close()


async def test_where_no_database_was_ever_made_the_spool_says_all(tmp_path: Path) -> None:
    records = drawn(random.Random(3), 100)
    write_segment(tmp_path, records, number=1, pid=77)
    found = await Answering().answer(asked(tmp_path, None, questions()))
    assert [sums.spans[2] for sums in found] == [
        spent(records, *scope, ALL_TIME) for scope in SCOPES
    ]


async def test_the_first_spending_is_known(postgres: str, tmp_path: Path) -> None:
    store = PostgresUsage(postgres)
    await store.ship("elsewhere/1", 0, 10, [record(1, BEGIN + 950, attempt("p", 0, 5))])
    write_segment(tmp_path, [record(2, BEGIN + 3, attempt("q", 0, 5))], number=1, pid=77)
    scopes = (Scope("provider", "p"), Scope("provider", "q"), Scope("provider", "r"))
    ask = tuple(Question(scope, SPANS) for scope in scopes)
    answering = Answering()
    found = await answering.answer(asked(tmp_path, postgres, ask))
    assert [sums.first for sums in found] == [
        (BEGIN + 900) * 1_000_000,
        (BEGIN + 3) * 1_000_000,
        None,
    ]
    await answering.close()
    await store.close()


async def test_a_server_that_was_restarted_in_between_is_asked_again(
    postgres: str, tmp_path: Path
) -> None:
    store = PostgresUsage(postgres)
    await store.ship("elsewhere/1", 0, 10, [record(1, BEGIN, attempt("p", 0, 5))])
    ask = asked(tmp_path, postgres, (Question(Scope("provider", "p"), (ALL_TIME,)),))
    answering = Answering()
    for _ in range(2):
        [found] = await answering.answer(ask)
        assert found.spans == [5]
        await query(
            postgres,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
    await answering.close()
    await store.close()


async def test_names_too_long_for_an_index_do_not_keep_a_record_out(
    postgres: str, tmp_path: Path
) -> None:
    long = record(1, BEGIN, attempt("p", 0, 5), model="\U0001f600" * 5000)
    store = PostgresUsage(postgres)
    assert await store.ship("s/1", 0, 10, [long]) == 10
    assert await query(postgres, "SELECT count(*) FROM usage") == [(1,)]
    await store.close()
