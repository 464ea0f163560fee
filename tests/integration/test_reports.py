"""`llm-proxy usage`, `usage export`, `migrate` and `GET /admin/usage`, as they are used: a
configuration, a real PostgreSQL, what is printed or answered."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.admin.server import AdminServer
from proxy.admin.usage import usage_routes
from proxy.base.jsonio import dumps, loads
from proxy.base.secret import Secret
from proxy.cli.main import main
from proxy.core.accounting import StoreAway
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.reports import PostgresReports
from proxy.wire.record import line_of
from tests.fakes.postgres import data_dir, empty_postgres, postgres, postgres_server, template
from tests.unit.stores.records import record
from tests.unit.usage_report.books import figures_of, keep, mixed_books

__all__ = ["data_dir", "empty_postgres", "postgres", "postgres_server", "template"]

SINCE = ("--since", "2025-11-20T12:00")
ADMIN = "admin-key-of-these-tests"

Run = Callable[..., "Printed"]


class Printed:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a configuration with that store."""

    def run(*arguments: str, store: str, data: Path | None = None) -> Printed:
        config = tmp_path / "config.yaml"
        provider = {"provider": "demo", "model": "demo-1"}
        config.write_bytes(
            dumps(
                {
                    "store": store,
                    "data_dir": str(data if data is not None else tmp_path / "data"),
                    "providers": {"demo": {"kind": "demo"}},
                    "models": {"demo": {"targets": [provider]}},
                    "auth": "none",
                }
            )
        )
        code = main((*arguments, "--config", str(config)))
        return Printed(code, *capsys.readouterr())

    return run


def _filled(dsn: str) -> str:
    asyncio.run(keep(dsn, mixed_books()))
    return dsn


def test_a_table_is_printed_with_its_totals(postgres: str, run: Run) -> None:
    books = mixed_books()
    done = run("usage", "--by", "team", *SINCE, store=_filled(postgres))
    assert done.code == 0, done.err
    head, *rows = done.lines[:6]
    assert head.split()[:2] == ["TEAM", "REQUESTS"]
    assert {row.split()[0] for row in rows[:-1]} == {"team-0", "team-1", "team-2", "-"}
    assert rows[-1].split()[0] == "total"
    assert rows[-1].split()[1] == str(len(books))
    assert Decimal(rows[-1].split()[-1]).scaleb(9) == figures_of(books).cost
    assert max(map(len, done.lines)) <= 120
    assert "Requests that used something without a price: 1." in done.out
    assert "wait in the spool" not in done.out


def test_csv_has_the_same_figures_and_no_totals(postgres: str, run: Run) -> None:
    books = mixed_books()
    done = run("usage", "--by", "day,model", "--format", "csv", *SINCE, store=_filled(postgres))
    rows = done.csv()
    assert done.code == 0, done.err
    assert sum(int(row["requests"]) for row in rows) == len(books)
    assert sum(int(row["unpriced"]) for row in rows) == 1
    exact = sum((Decimal(row["cost_usd"]) for row in rows), Decimal(0))
    assert exact.scaleb(9) == figures_of(books).cost


def test_json_has_totals_and_what_was_asked(postgres: str, run: Run) -> None:
    words = ("usage", "--by", "hour,user", "--format", "json", "--where", "team=team-1")
    done = run(*words, *SINCE, "--until", "2025-11-21", store=_filled(postgres))
    found = loads(done.out)
    assert found["by"] == ["hour", "user"]
    assert (found["since"], found["until"]) == ("2025-11-20T12:00:00Z", "2025-11-21T00:00:00Z")
    assert found["where"] == {"team": ["team-1"]}
    assert found["waiting"] == {"records": 0, "bytes": 0, "seconds": 0.0, "error": None}
    costs = [Decimal(row["cost_usd"]) for row in found["data"]]
    assert sum(costs) == Decimal(found["totals"]["cost_usd"]) > 0
    assert found["data"][0]["hour"] == "2025-11-20T13:00:00Z"


def test_what_waits_in_the_spool_is_told(postgres: str, run: Run, tmp_path: Path) -> None:
    spool = tmp_path / "data/spool"
    spool.mkdir(parents=True)
    lines = b"".join(line_of(record(n)) for n in range(3))
    (spool / "worker-1-1763640000000-77-0001.seg").write_bytes(lines)
    done = run("usage", *SINCE, store=_filled(postgres))
    assert f"3 records ({len(lines):,} bytes, the oldest" in done.lines[-1]
    done = run("usage", *SINCE, "--format", "csv", store=postgres)
    assert "3 records" in done.err
    assert "3 records" not in done.out
    done = run("usage", *SINCE, "--format", "json", store=postgres)
    assert loads(done.out)["waiting"]["records"] == 3
    assert not (spool / "id").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("usage", "--by", "modl"), "did you mean `model`?"),
        (("usage", "--since", "soon"), "`since` must be a time such as"),
        (("usage", "--where", "modl=x"), "did you mean `model`?"),
        (("usage", "export", "--where", "hour=1"), "use `since` and `until`"),
        (("usage", "--by", "team", "export"), "--by is for reports"),
        (("usage", "--format", "table", "export"), "--format table is for reports"),
    ],
)
def test_a_wrong_question_ends_with_2(run: Run, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments, store="embedded")
    assert done.code == 2
    assert words in done.err
    assert done.out == ""


def test_an_export_in_csv_and_json_is_the_same(postgres: str, run: Run) -> None:
    books = mixed_books()
    done = run("usage", *SINCE, "export", store=_filled(postgres))
    assert done.code == 0, done.err
    assert done.err == ""
    rows = done.csv()
    assert [row["id"] for row in rows] == [r.id for r in sorted(books, key=lambda r: (r.at, r.id))]
    done = run("usage", "export", "--format", "json", *SINCE, store=postgres)
    found = [loads(line) for line in done.lines]
    assert [(row["id"], row["cost_usd"] or "") for row in found] == [
        (row["id"], row["cost_usd"]) for row in rows
    ]
    assert sum(row["cost_usd"] is None for row in found) == 1
    assert found[0]["attempts"][0]["usage"]["input"] == 100


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_export_counts_on_a_terminal(
    postgres: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    done = run("usage", "export", *SINCE, store=_filled(postgres))
    assert done.code == 0
    assert terminal.getvalue().startswith(f"\r{len(mixed_books()):,} records, ")
    assert terminal.getvalue().endswith("/s \n")


def test_migrate_says_what_it_applied(empty_postgres: str, run: Run) -> None:
    done = run("usage", store=empty_postgres)
    assert (done.code, done.out) == (1, "")
    assert "llm-proxy migrate" in done.err
    done = run("migrate", store=empty_postgres)
    assert done.code == 0
    assert done.lines[0] == "applied 0001_usage"
    done = run("migrate", store=empty_postgres)
    assert (done.code, done.lines) == (0, ["the schema is up to date"])
    assert run("usage", store=empty_postgres).code == 0


@pytest.mark.parametrize("command", ["usage", "migrate"])
def test_a_store_that_is_away_ends_with_1_and_no_password(run: Run, command: str) -> None:
    done = run(command, store="postgresql://u:hidden-password@127.0.0.1:1/db?sslmode=disable")
    assert done.code == 1
    assert "store cannot be" in done.err
    assert "hidden-password" not in done.err
    assert "Traceback" not in done.err


def test_a_configuration_that_is_not_there_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["usage"]) == 2
    assert "--config FILE" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text("wrokers: 1\n")
    assert main(["migrate"]) == 2
    assert "config.yaml:1:1: " in capsys.readouterr().err


def test_an_embedded_store_is_used_or_started(data_dir: Path, run: Run, template: Path) -> None:
    done = run("usage", store="embedded", data=data_dir)
    assert done.code == 1
    assert "there is no database in" in done.err
    assert not (data_dir / "postgres").exists()

    async def beside() -> tuple[Printed, str]:
        server = EmbeddedPostgres(data_dir, template=template)
        dsn = await server.start()
        try:
            migrated = await asyncio.to_thread(run, "migrate", store="embedded", data=data_dir)
            await keep(dsn, mixed_books())
            return migrated, dsn
        finally:
            await server.stop()

    migrated, _ = asyncio.run(beside())
    assert migrated.lines[0] == "applied 0001_usage"
    (data_dir / "postgres/data/postmaster.pid").write_text(
        "1\n/nowhere\n0\n5432\n/no/such/folder\n"
    )  # What a crash leaves.
    done = run("usage", *SINCE, "--format", "csv", store="embedded", data=data_dir)
    assert done.code == 0, done.err
    assert sum(int(row["requests"]) for row in done.csv()) == len(mixed_books())
    assert not (data_dir / "postgres/data/postmaster.pid").exists()


class _Page:
    """Metrics of nothing."""

    def render(self, accept: str = "") -> bytes:
        return accept.encode()

    def content_type(self, accept: str = "") -> str:
        return accept or "text/plain"


Ask = Callable[..., Any]


@asynccontextmanager
async def _admin(address: Callable[[], str | None]) -> AsyncIterator[Ask]:
    """Ask the admin port: a status and a JSON body."""
    reports = PostgresReports(address)
    server = AdminServer(_Page(), dict, usage_routes(reports), lambda: Secret(ADMIN))
    await server.start("127.0.0.1", 0)
    headers = {"authorization": f"Bearer {ADMIN}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", headers=headers) as session:

        async def ask(
            *pairs: tuple[str, str], headers: Mapping[str, str] | None = None
        ) -> tuple[int, Any]:
            async with session.get("/admin/usage", params=pairs, headers=headers) as answer:
                assert answer.content_type == "application/json"
                return answer.status, loads(await answer.read())

        try:
            yield ask
        finally:
            await server.stop()


QUERY = (("by", "team,hour"), ("since", "2025-11-20T12:00"), ("where", "team=team-1"))


async def test_pages_over_http_are_the_whole_report(postgres: str) -> None:
    books = mixed_books()
    await keep(postgres, books)
    rows: list[dict[str, Any]] = []
    async with _admin(lambda: postgres) as ask:
        pairs: tuple[tuple[str, str], ...] = (*QUERY, ("where", "team="), ("limit", "4"))
        status, page = await ask(*pairs)
        totals = page["totals"]
        while True:
            assert status == 200, page
            assert page["object"] == "list"
            rows += page["data"]
            if not page["has_more"]:
                break
            status, page = await ask(*pairs, ("cursor", page["next_cursor"]))
            assert page["totals"] is None
    assert page["next_cursor"] is None
    expected = figures_of(r for r in books if r.team in {"team-1", None})
    assert sum(row["requests"] for row in rows) == totals["requests"] == expected.requests
    cost = sum(Decimal(row["cost_usd"]) for row in rows)
    assert cost == Decimal(totals["cost_usd"]) == Decimal(expected.cost).scaleb(-9)
    keys = [(row["team"] or "", row["hour"]) for row in rows]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (("by", "modl"), "did you mean `model`?"),
        (("since", "x"), "`since` must be a time"),
        (("where", "x"), "NAME=VALUE"),
        (("where", "a\0b=x"), "does not know `a?b`"),
        (("limit", "0"), "from 1 to 1000"),
        (("limit", "1001"), "from 1 to 1000"),
        (("limit", "\u0663"), "from 1 to 1000"),
        (("cursor", "x"), "next_cursor"),
        (("limits", "3"), "did you mean `limit`?"),
    ],
)
async def test_a_wrong_question_over_http_is_a_400_that_names_it(
    pair: tuple[str, str], words: str
) -> None:
    async with _admin(lambda: None) as ask:
        status, body = await ask(pair)
        assert status == 400
        assert words in body["error"]["message"]
        assert body["error"]["param"] == pair[0]
        assert body["error"]["type"] == "invalid_request_error"


async def test_what_may_be_given_once_is_not_given_twice() -> None:
    async with _admin(lambda: None) as ask:
        status, body = await ask(("since", "1d"), ("since", "2d"))
        assert (status, body["error"]["param"]) == (400, "since")


async def test_a_store_that_is_away_is_a_503() -> None:
    async with _admin(lambda: None) as ask:
        status, body = await ask()
        assert status == 503
        assert body["error"]["code"] == "store_unavailable"
        with pytest.raises(StoreAway):
            await PostgresReports(lambda: None).positions([])


async def test_nobody_reads_without_the_key(postgres: str) -> None:
    async with _admin(lambda: postgres) as ask:
        status, _ = await ask(headers={"authorization": "Bearer wrong"})
        assert status == 401
