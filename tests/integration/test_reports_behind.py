"""How far the books are behind, with every report: over HTTP and on the command line."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.admin.server import AdminServer
from proxy.admin.usage import usage_routes
from proxy.base.jsonio import loads
from proxy.base.secret import Secret
from proxy.cli.main import main
from proxy.stores.postgres.reports import PostgresReports
from proxy.usage.dead_letters import DeadLetters
from proxy.usage.ship_lag import Lag
from proxy.usage.shipper import ShipperState
from proxy.wire.record import line_of
from tests.fakes.postgres import postgres, postgres_server
from tests.unit.stores.records import record
from tests.unit.usage_report.books import keep, mixed_books
from tests.unit.usage_ship.spool_files import segment_name, write_segment

__all__ = ["postgres", "postgres_server"]


class _Page:
    """Metrics of nothing."""

    def render(self, accept: str = "") -> bytes:
        return accept.encode()

    def content_type(self, accept: str = "") -> str:
        return accept or "text/plain"


async def asked(dsn: str, state: ShipperState | None) -> dict[str, Any]:
    """What GET /admin/usage answers."""
    routes = usage_routes(PostgresReports(lambda: dsn), lambda: state)
    server = AdminServer(_Page(), dict, routes, lambda: Secret("key"))
    await server.start("127.0.0.1", 0)
    try:
        async with (
            aiohttp.ClientSession(headers={"authorization": "Bearer key"}) as session,
            session.get(f"http://127.0.0.1:{server.port}/admin/usage?since=2025-11-20") as reply,
        ):
            assert reply.status == 200
            body: dict[str, Any] = loads(await reply.read())
            return body
    finally:
        await server.stop()


async def test_a_report_over_http_says_what_is_not_in_it(postgres: str) -> None:
    await keep(postgres, mixed_books())
    lag = Lag(records=1200, bytes=1_000_000, seconds=61.234)
    body = await asked(postgres, ShipperState("ConnectionError: refused", 5, 3, 1, lag))
    assert body["waiting"] == {
        "records": 1200,
        "bytes": 1_000_000,
        "seconds": 61.2,
        "error": "ConnectionError: refused",
    }
    assert body["dead_letters"] == 3
    body = await asked(postgres, ShipperState(None, 5, 0, 0, Lag()))
    assert body["waiting"] == {"records": 0, "bytes": 0, "seconds": 0.0, "error": None}
    assert body["dead_letters"] == 0
    body = await asked(postgres, None)  # Nothing ships here.
    assert (body["waiting"], body["dead_letters"]) == (None, None)


def test_the_command_says_so_too(
    postgres: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(keep(postgres, mixed_books()))
    spool = tmp_path / "data/spool"
    write_segment(spool, 1, [record(1), record(2)])
    for start in (0, 10):
        DeadLetters(spool).add(segment_name(2), start, start + 9, "why", line_of(record(3)))
    config = tmp_path / "config.yaml"
    config.write_text(
        f"store: {postgres}\ndata_dir: {tmp_path / 'data'}\nauth: none\n"
        "providers: {demo: {kind: demo}}\n"
        "models: {demo: {targets: [{provider: demo, model: demo-1}]}}\n",
        encoding="utf-8",
    )
    command = ("usage", "--since", "2025-11-20", "--config", str(config))
    assert main(command) == 0
    *_, waiting, dead = capsys.readouterr().out.splitlines()
    assert waiting.startswith("2 records (")
    assert dead == "2 dead letters are not in these figures: `llm-proxy usage dead-letters`"
    assert main((*command, "--format", "json")) == 0
    found = loads(capsys.readouterr().out)
    assert (found["waiting"]["records"], found["dead_letters"]) == (2, 2)
    assert main((*command, "--format", "csv")) == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"llm-proxy: {dead}"
