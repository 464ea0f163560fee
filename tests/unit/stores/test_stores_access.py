"""The private PostgreSQL where its user has little: no way into the folder, no name.

As root these are the real things; as anybody else the server runs as ourselves, and the same calls
show that nothing stands in the way.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.stores.postgres import launch
from proxy.stores.postgres.account import account
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.nameless import nameless_initdb
from proxy.stores.postgres.programs import NoPostgres, Programs
from tests.fakes.postgres import query

AS_ROOT = os.geteuid() == 0
NAMELESS = 54321
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2

_SERVE = """
import asyncio, os, sys
from pathlib import Path
from proxy.stores.postgres.embedded import EmbeddedPostgres
from proxy.stores.postgres.sessions import answers, bring_up_to_date

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    dsn = await server.start()
    made = await bring_up_to_date(dsn)
    print(os.geteuid(), server.pid, await answers(dsn), len(made) > 0, flush=True)
    if len(sys.argv) > 2:
        await asyncio.Event().wait()
    await server.stop()

asyncio.run(main())
"""
_HINDERED = """
import ctypes, sys
for capability in sys.argv[2:]:
    ctypes.CDLL(None).prctl(24, ctypes.c_ulong(int(capability)), *[ctypes.c_ulong(0)] * 3)
"""
"""Before the service: drops capabilities from the set that any child can have."""


@pytest.fixture
def closed(data_dir: Path) -> Path:
    """A data_dir below a folder that only its owner may enter, as a clone below /root is."""
    folder = data_dir / "closed"
    folder.mkdir(mode=0o700)
    return folder / "data"


def kept_by(pid: int) -> int:
    """The effective capabilities of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("CapEff:")]
    return int(line.split()[1], 16)


async def test_a_folder_that_others_may_not_enter_holds_a_server(closed: Path) -> None:
    server = EmbeddedPostgres(closed)
    dsn = await server.start()
    assert server.pid is not None
    await query(dsn, "CREATE TABLE kept AS SELECT 1 AS n")
    data = await asyncio.to_thread((closed / "postgres/data").stat)
    assert data.st_uid == account().uid
    if AS_ROOT:
        assert await asyncio.to_thread(kept_by, server.pid) == 1 << _DAC_READ_SEARCH
    await server.stop()
    again = EmbeddedPostgres(closed)
    assert await query(await again.start(), "SELECT n FROM kept") == [(1,)]
    await again.stop()
    assert (closed.parent.stat().st_mode & 0o777) == 0o700


async def test_an_open_folder_needs_no_capability(data_dir: Path, template: Path) -> None:
    server = EmbeddedPostgres(data_dir, template=template)
    _ = await server.start()
    assert server.pid is not None
    assert not AS_ROOT or await asyncio.to_thread(kept_by, server.pid) == 0
    await server.stop()


async def test_it_dies_with_its_parent_in_a_closed_folder_too(closed: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SERVE, str(closed), "wait"), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    _, pid, answered, _ = (await parent.stdout.readline()).decode().split()
    assert answered == "True"
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(20):
        while await asyncio.to_thread(Path(f"/proc/{pid}/cwd").exists):
            await asyncio.sleep(0.01)
    server = EmbeddedPostgres(closed)
    assert await query(await server.start(), "SELECT count(*) FROM usage") == [(0,)]
    await server.stop()


async def hindered(closed: Path, *capabilities: int) -> tuple[int | None, str]:
    """Serve without some of root's capabilities; the exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HINDERED + _SERVE.replace("> 2", "> 9"), str(closed)),
        *map(str, capabilities),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_what_a_container_has_is_enough(closed: Path) -> None:
    """Docker gives root CAP_DAC_OVERRIDE and not CAP_DAC_READ_SEARCH."""
    code, said = await hindered(closed, _DAC_READ_SEARCH)
    assert (code, said.split()[2:]) == (0, ["True", "True"])


async def test_without_either_capability_the_folder_is_named(closed: Path) -> None:
    code, said = await hindered(closed, _DAC_READ_SEARCH, _DAC_OVERRIDE)
    if AS_ROOT:
        assert f"the user `nobody` may not enter {closed.parent}: run llm-proxy as" in said
        assert code == 1
    else:
        assert code == 0


async def test_a_user_without_a_name_gets_a_server(data_dir: Path) -> None:
    command = [sys.executable, "-c", _SERVE, str(data_dir / "mine")]
    if AS_ROOT:
        os.chown(data_dir, NAMELESS, NAMELESS)
        # The capability is for this interpreter, which may lie where only root may go.
        owner = f"{NAMELESS}:{NAMELESS}:{_DAC_READ_SEARCH}"
        command = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), owner, *command]
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert out.decode().split()[::2] == [str(NAMELESS if AS_ROOT else os.geteuid()), "True"]
    assert not (data_dir / "mine/postgres/initdb").exists()


def test_programs_of_the_system_are_mirrored_too(tmp_path: Path) -> None:
    bin_ = tmp_path / "usr/bin"
    bin_.mkdir(parents=True)
    (tmp_path / "usr/lib").mkdir()
    for name in ("initdb", "postgres", "psql"):
        (bin_ / name).write_bytes(b"code\0getpwuid\0getpwuid_r\0")
    programs = Programs(bin_, "15.1", 15)
    for _ in range(2):
        made = nameless_initdb(programs, tmp_path / "copy")
        assert made == tmp_path / "copy/postgres/bin/initdb"
        for name in ("initdb", "postgres"):
            copy = made.with_name(name)
            assert copy.read_bytes() == b"code\0getpwent\0getpwuid_r\0"
            assert os.access(copy, os.X_OK)
        assert made.with_name("psql").resolve() == bin_ / "psql"
        assert (made.parent.parent / "lib").resolve() == tmp_path / "usr/lib"
    assert (bin_ / "initdb").read_bytes() == b"code\0getpwuid\0getpwuid_r\0"


def test_programs_that_ask_in_another_way_are_refused(tmp_path: Path) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_bytes(b"getpwuid_r\0")
    with pytest.raises(NoPostgres, match="give it an entry in /etc/passwd, or set `store:"):
        nameless_initdb(Programs(tmp_path, "15.1", 15), tmp_path / "copy")
