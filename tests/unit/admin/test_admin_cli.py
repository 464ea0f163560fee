"""`llm-proxy keys`: the commands against an admin port that listens, and against none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.base.jsonio import dumps, loads
from proxy.cli.main import main
from tests.fakes.postgres import postgres, postgres_server
from tests.unit.admin.admin_port import ADMIN, Port, admin_port

__all__ = ["postgres", "postgres_server"]


@dataclass(frozen=True, slots=True)
class Printed:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Printed]]


@pytest.fixture
async def ask(postgres: str) -> AsyncIterator[Port]:
    async with admin_port(postgres) as port:
        yield port


def _configuration(folder: Path, listen: str, key: str | None = ADMIN) -> str:
    file = folder / "config.yaml"
    admin = {"listen": listen, "key": key}
    file.write_bytes(dumps({"admin": admin, "auth": "none", "data_dir": str(folder)}))
    return str(file)


@pytest.fixture
def run(ask: Port, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    config = _configuration(tmp_path, f"127.0.0.1:{ask.port}")

    async def run(*words: str) -> Printed:
        code = await asyncio.to_thread(main, ("keys", *words, "--config", config))
        return Printed(code, *capsys.readouterr())

    return run


async def test_a_key_is_made_listed_rotated_blocked_and_revoked(run: Run, ask: Port) -> None:
    done = await run(
        "create", "search", "--team", "web", "--tag", "a", "--tag", "b", "--rpm", "5",
        "--budget", "10/month", "--model", "gpt-*",
    )  # fmt: skip
    assert done.code == 0, done.err
    key = done.out.strip()
    assert key.startswith("sk-") and "only time" in done.err
    made = (await ask("GET", "/admin/keys")).body["data"][0]
    assert (made["team"], made["tags"], made["models"]) == ("web", ["a", "b"], ["gpt-*"])
    assert made["limits"] == {"rpm": 5}
    assert made["budgets"] == [{"amount": "10", "period": "month"}]
    done = await run("list")
    assert done.out.splitlines()[1].split()[:5] == [made["id"], "search", "web", "-", "active"]
    done = await run("rotate", "search", "--grace", "1h")
    assert done.code == 0
    assert done.out.strip() not in {"", key}
    assert (await run("block", made["id"])).out == f"search ({made['id']}) is blocked\n"
    assert "blocked" in (await run("list", "--team", "web")).out
    assert (await run("list", "--team", "other")).out.count("\n") == 1
    assert (await run("unblock", "search")).code == 0
    assert (await run("revoke", "search")).out == f"search ({made['id']}) is revoked\n"
    assert (await run("list")).out.count("\n") == 1
    assert "revoked" in (await run("list", "--deleted")).out
    done = await run("revoke", "search")
    assert (done.code, done.out) == (1, "")
    assert "no living key of this name" in done.err
    done = await run("revoke", made["id"])
    assert (done.code, done.out) == (1, "")
    assert "no key of this id" in done.err


async def test_a_key_that_has_expired_is_listed_as_such(run: Run) -> None:
    for name, when in (("old", "2020-01-01"), ("new", "2090-01-01T00:00:00Z")):
        assert (await run("create", name, "--expires", when)).code == 0
    states = {row.split()[1]: row.split()[4] for row in (await run("list")).out.splitlines()[1:]}
    assert states == {"old": "expired", "new": "active"}


async def test_a_name_that_is_taken_says_whose_it_is(run: Run) -> None:
    await run("create", "key_of-ada")
    done = await run("create", "key_of-ada")
    assert done.code == 1
    taken = done.err.partition("this name, ")[2].partition(":")[0]
    assert (await run("block", "key_of-ada")).out == f"key_of-ada ({taken}) is blocked\n"


async def test_json_is_the_answer_of_the_api(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_bytes(dumps({"clearance": "restricted", "limits": {"tpm": 3}, "name": "x"}))
    done = await run("create", "a", "--document", str(file), "--rpm", "1", "--json")
    made = loads(done.out)
    assert (made["name"], made["clearance"], made["limits"]) == (
        "a", "restricted", {"tpm": 3, "rpm": 1},
    )  # fmt: skip
    assert [key["id"] for key in loads((await run("list", "--json")).out)["data"]] == [made["id"]]
    done = await run("create", "b", "--hash", "ab" * 32)
    assert (done.code, done.out) == (0, "")
    assert "b is key_" in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("create", "a", "--rpm", "-1"), 1, "`limits.rpm` must be"),
        (("create", "a/b"), 1, "`name` must have no `/`"),
        (("create", "a", "--budget", "5"), 2, "USD/PERIOD"),
        (("create", "a", "--document", "/nowhere.json"), 2, "/nowhere.json"),
        (("rotate", "nobody"), 1, "keys list` shows"),
        (("block", "a/b c"), 1, "no living key of this name"),
    ],
)
async def test_what_cannot_be_done_is_said(
    run: Run, words: tuple[str, ...], code: int, said: str
) -> None:
    done = await run(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err and "Traceback" not in done.err


@pytest.mark.parametrize(
    ("listen", "key", "said"),
    [
        ("127.0.0.1:1", ADMIN, "is `llm-proxy serve` running"),
        ("127.0.0.1:1", None, "no `admin.key`"),
        ("127.0.0.1:0", ADMIN, "port 0"),
    ],
)
def test_where_nobody_can_be_asked_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], listen: str, key: str | None, said: str
) -> None:
    config = _configuration(tmp_path, listen, key)
    assert main(("keys", "list", "--config", config)) == 1
    printed = capsys.readouterr()
    assert said in printed.err and ADMIN not in printed.err


async def test_another_key_or_another_server_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ask: Port
) -> None:
    config = _configuration(tmp_path, f"127.0.0.1:{ask.port}", "not-this-one")
    assert await asyncio.to_thread(main, ("keys", "list", "--config", config)) == 1
    assert "send the admin key" in capsys.readouterr().err

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        config = _configuration(tmp_path, f"127.0.0.1:{port}")
        assert await asyncio.to_thread(main, ("keys", "list", "--config", config)) == 1
        assert "not llm-proxy" in capsys.readouterr().err
