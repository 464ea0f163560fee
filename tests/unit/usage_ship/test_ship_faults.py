"""Spool to PostgreSQL with things going wrong: nothing is lost, nothing comes twice, sums agree."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from proxy.base.clock import monotonic
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.usage import PostgresUsage
from proxy.usage.shipper import Shipper
from proxy.wire.record import Content, line_of
from tests.fakes.postgres import HASTY, query, tcp_door, through
from tests.fakes.tcp import TcpProxy
from tests.unit.stores.records import DAY, NOON, assert_books_agree, record, records
from tests.unit.usage_ship.shipping import (
    QUICK,
    shipping,
    until_away,
    until_back,
    until_empty,
    until_rows,
    until_shipped,
)
from tests.unit.usage_ship.spool_files import (
    ActiveSegment,
    segments_in,
    write_bytes,
    write_segment,
)


@pytest.fixture
async def own_server(data_dir: Path, template: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server that a test may kill."""
    server = EmbeddedPostgres(data_dir, template=template, settings=HASTY)
    yield server
    await server.stop()


async def test_many_segments_and_a_clock_that_steps_back(tmp_path: Path, postgres: str) -> None:
    sent = [
        record(n, at=NOON - (n % 4) * DAY + n, outcome=("completed", "failed")[n % 2])
        for n in range(1500)
    ]
    for number in range(3):
        write_segment(tmp_path, number, sent[number::3])
    store = PostgresUsage(postgres)
    await Shipper(tmp_path, store).drain()
    await store.close()
    await assert_books_agree(postgres, sent)
    assert segments_in(tmp_path) == []


async def test_bad_records_and_bad_lines_among_good_ones(tmp_path: Path, postgres: str) -> None:
    lines = [line_of(each) for each in records(700)]
    lines[13] = b"corrupt\n"
    lines[600] = line_of(record(600, at=10**19))
    lines[601] = line_of(record(601, bytes_in=2**63))
    lines[602] = line_of(record(602, user="nul\0"))
    lines[603] = line_of(record(603, content=Content(output="large" * 500_000)))
    write_bytes(tmp_path, 1, b"".join(lines)[:-30])
    store = PostgresUsage(postgres)
    shipper = Shipper(tmp_path, store)
    await shipper.drain()
    await store.close()
    expected = [each for n, each in enumerate(records(699)) if n not in {13, 600, 601}]
    await assert_books_agree(postgres, expected)
    assert (shipper.state().dead, shipper.state().bad) == (4, 2)


async def test_the_server_is_killed_in_the_middle(
    tmp_path: Path, own_server: EmbeddedPostgres
) -> None:
    dsn = await own_server.start()
    for number in range(4):
        write_segment(tmp_path, number, records(1000, start=1000 * number))
    active = ActiveSegment(tmp_path, 4)
    store = PostgresUsage(dsn)
    _ = await store.position("")
    async with shipping(tmp_path, store) as shipper:
        for number in range(4000, 6000, 1000):
            await until_rows(dsn, number - 3000)
            assert own_server.pid is not None
            os.kill(own_server.pid, signal.SIGKILL)
            active.append(b"".join(map(line_of, records(1000, start=number))))
            _ = await until_away(shipper)
            await until_back(shipper)
        active.finish()
        await until_empty(tmp_path)
    await assert_books_agree(dsn, records(6000))


async def test_the_server_is_stopped_for_a_while(
    tmp_path: Path, data_dir: Path, own_server: EmbeddedPostgres
) -> None:
    dsn = await own_server.start()
    active = ActiveSegment(tmp_path, 1)
    async with shipping(tmp_path, PostgresUsage(dsn)) as shipper:
        active.append(b"".join(map(line_of, records(100))))
        await until_shipped(shipper, 100)
        await own_server.stop()
        active.append(b"".join(map(line_of, records(300, start=100))))
        active.finish()
        _ = await until_away(shipper)
        async with asyncio.timeout(10):
            while not shipper.behind().bytes:
                await asyncio.sleep(0.005)
        again = EmbeddedPostgres(data_dir, settings=HASTY)
        assert await again.start() == dsn
        await until_empty(tmp_path)
    await assert_books_agree(dsn, records(400))
    await again.stop()


async def test_too_many_connections(tmp_path: Path, own_server: EmbeddedPostgres) -> None:
    dsn = await own_server.start()
    others = []
    with pytest.raises(asyncpg.TooManyConnectionsError):
        while True:
            others.append(await asyncpg.connect(dsn))
    write_segment(tmp_path, 1, records(60))
    async with shipping(tmp_path, PostgresUsage(dsn)) as shipper:
        assert "TooManyConnections" in await until_away(shipper)
        await asyncio.gather(*(each.close() for each in others))
        await until_empty(tmp_path)
    await assert_books_agree(dsn, records(60))


async def test_a_link_that_drips_stalls_and_breaks(tmp_path: Path, postgres: str) -> None:
    active = ActiveSegment(tmp_path, 1)
    async with (
        tcp_door(postgres) as port,
        TcpProxy(port) as link,
        shipping(tmp_path, PostgresUsage(through(postgres, link.port), patience=0.5)) as shipper,
    ):
        link.drip(7, every=0)
        active.append(b"".join(map(line_of, records(100))))
        await until_shipped(shipper, 100)
        link.stall()
        active.append(b"".join(map(line_of, records(200, start=100))))
        assert "TimeoutError" in await until_away(shipper)
        link.flow()
        await until_rows(postgres, 300)
        for number in range(300, 600, 60):
            link.reset_after(number // 10)
            active.append(b"".join(map(line_of, records(60, start=number))))
            _ = await until_away(shipper)
            link.flow()
            await until_rows(postgres, number + 60)
        active.finish()
        await until_empty(tmp_path)
    await assert_books_agree(postgres, records(600))


async def test_answers_to_commits_get_lost(tmp_path: Path, postgres: str) -> None:
    """Break the connection ever later within a batch: also between a commit and its answer."""
    write_segment(tmp_path, 1, records(300))
    async with (
        tcp_door(postgres) as port,
        TcpProxy(port) as link,
        shipping(tmp_path, PostgresUsage(through(postgres, link.port))),
        asyncio.timeout(40),
    ):
        step = 0
        while await asyncio.to_thread(segments_in, tmp_path):
            step += 1
            link.reset_after(500 + 41 * step)
            await asyncio.sleep(0.02)
    await assert_books_agree(postgres, records(300))


async def test_two_shippers_on_one_spool(tmp_path: Path, postgres: str) -> None:
    for number in range(5):
        write_segment(tmp_path, number, records(400, start=400 * number))
    stores = [PostgresUsage(postgres) for _ in range(3)]
    await asyncio.gather(*(Shipper(tmp_path, store, QUICK).drain() for store in stores))
    for store in stores:
        await store.close()
    await assert_books_agree(postgres, records(2000))


async def test_control_is_killed_again_and_again(tmp_path: Path, postgres: str) -> None:
    chance = random.Random(7)
    for number in range(3):
        write_segment(tmp_path, number, records(1500, start=1500 * number))
    kills, rows = 0, 0
    while await asyncio.to_thread(segments_in, tmp_path):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.unit.usage_ship.shipping_process"),
            *(str(tmp_path), postgres),
        )
        if kills < 6:
            await until_rows(postgres, min(4500, rows + 1))
            await asyncio.sleep(chance.uniform(0, 0.1))
        else:
            await until_empty(tmp_path)
        process.kill()
        await process.wait()
        kills += 1
        [(rows,)] = await query(postgres, "SELECT count(*) FROM usage")
    assert kills > 3
    await assert_books_agree(postgres, records(4500))


async def test_catching_up(
    tmp_path: Path, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        write_segment(tmp_path, number, records(10_000, start=10_000 * number))
    store = PostgresUsage(postgres)
    _ = await store.position("")
    begun = monotonic()
    await Shipper(tmp_path, store).drain()
    rate = 50_000 / (monotonic() - begun)
    await store.close()
    with capsys.disabled():
        sys.stdout.write(f"\ncaught up with 50,000 records at {rate:,.0f} rows/s\n")
    assert await query(postgres, "SELECT count(*) FROM usage") == [(50_000,)]
    assert await query(
        postgres, "SELECT sum(requests)::bigint FROM usage_hourly WHERE tag_first"
    ) == [(50_000,)]
