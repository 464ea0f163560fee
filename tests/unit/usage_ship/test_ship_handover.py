"""The embedded server passes from a command to control, and control lends it to a command."""

import asyncio
from pathlib import Path

import pytest

from proxy.base.clock import monotonic
from proxy.build import bookkeeping
from proxy.build.bookkeeping import Bookkeeping
from proxy.cli.store import store_address
from proxy.config.settings import Settings
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.sessions import answers
from tests.unit.stores.records import assert_books_agree, records
from tests.unit.usage_ship.shipping import until_empty
from tests.unit.usage_ship.spool_files import write_segment


def settings(data_dir: Path) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": str(data_dir),
            "auth": "none",
            "providers": {"demo": {"kind": "demo"}},
            "models": {"demo": {"targets": [{"provider": "demo", "model": "demo-1"}]}},
        }
    )


async def test_control_waits_for_a_command_and_takes_over_at_once(
    data_dir: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookkeeping, "_LET_WORKERS_START", 0.0)
    monkeypatch.setattr(bookkeeping, "_PATIENCE", 0.05)
    spool = data_dir / "spool"
    write_segment(spool, 1, records(20))
    command = EmbeddedPostgres(data_dir, template=template)
    _ = await command.start()
    books = Bookkeeping("embedded", data_dir, spool, 86400.0)
    books.start()
    try:
        async with asyncio.timeout(10):
            while "another llm-proxy (pid" not in (books.why_not() or ""):
                await asyncio.sleep(0.005)
        begun = monotonic()
        await command.stop()
        await until_empty(spool)
        assert monotonic() - begun < 10
        assert books.why_not() is None
        assert books.address is not None
        await assert_books_agree(books.address, records(20))
    finally:
        await books.stop()


async def test_a_command_that_comes_while_control_starts_uses_its_server(
    data_dir: Path, template: Path
) -> None:
    control = EmbeddedPostgres(data_dir, template=template)
    starting = asyncio.get_running_loop().create_task(control.start())
    owner = data_dir / "postgres/owner"
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(owner.exists):
            await asyncio.sleep(0.001)
    async with store_address(settings(data_dir), make=True) as address:
        assert address == await starting
        assert await answers(address)
    assert await answers(address), "a command does not end what is not its own"
    await control.stop()
