"""Control does not give way while it starts its private store: who has a budget waits for that."""

import asyncio
from math import inf
from pathlib import Path

import pytest

from proxy.build import bookkeeping
from proxy.build.bookkeeping import Bookkeeping
from proxy.control_plane import ControlPlane
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.programs import NoPostgres


async def test_control_is_late_as_long_as_the_store_is_being_started(tmp_path: Path) -> None:
    plane = ControlPlane("0")
    assert plane.late() == 0.0
    plane._books = books = Bookkeeping("embedded", tmp_path, tmp_path, 1.0)
    assert plane.late() == inf
    books.address = "postgresql:///"
    assert plane.late() == 0.0


async def test_where_there_is_none_to_start_it_is_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = asyncio.Event()

    async def start(self: EmbeddedPostgres) -> str:
        tried.set()
        raise NoPostgres("no PostgreSQL here")

    monkeypatch.setattr(bookkeeping, "_LET_WORKERS_START", 0.0)
    monkeypatch.setattr(EmbeddedPostgres, "start", start)
    plane = ControlPlane("0")
    plane._books = books = Bookkeeping("embedded", tmp_path, tmp_path, 1.0)
    books.start()
    async with asyncio.timeout(5):
        await tried.wait()
    assert books.why_not() == "no PostgreSQL here"
    assert plane.late() == 0.0
    await books.stop()
