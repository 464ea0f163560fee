"""What accounting costs a worker per request: `python -m bench.micro.accounting [--rounds N]`.

Each step is timed alone, between two sends on a socket, a parse of a request and a walk over a
megabyte: under load a worker comes to its accounting with cold caches, and a bare loop over the
same code shows a third of what it costs. Medians over all rounds of a step, less what reading the
clock costs; the mean of the fastest 99 in 100 beside it takes in page faults and new segments.
"""

import argparse
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from statistics import fmean

from multidict import CIMultiDict, CIMultiDictProxy

from bench.answers import CHAT_BODY
from bench.requests import chat_body
from bench.table import table
from proxy.base.clock import monotonic
from proxy.base.ids import RequestIds
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.outgoing import Timeouts
from proxy.core.reply import Reply
from proxy.core.runtime import Runtime
from proxy.core.target import Provider, Route, Target
from proxy.demo.transport import DemoTransport
from proxy.usage.ledger import NoLedger, SpoolLedger
from proxy.usage.lines import Lines
from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import Price
from proxy.usage.prices.table import PriceTable
from proxy.usage.recording import Identity, record_of_exchange
from proxy.usage.spool import Spool, SpoolOptions
from proxy.wire.body import Body
from proxy.wire.operations import CHAT
from proxy.wire.recalled import Recalled
from proxy.wire.record import line_of

_BODY = chat_body(1, "gpt-4o", stream=False)
_HEADERS = CIMultiDictProxy(
    CIMultiDict(
        {
            "Host": "127.0.0.1:8080",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "llm-proxy-bench",
            "Authorization": "Bearer sk-bench",
            "Content-Length": str(len(_BODY)),
        }
    )
)
_WALK = bytearray(1 << 20)
_LINE = 64  # Bytes of a line of the processor's cache.


class Request:
    """The port `Incoming`, without a connection."""

    method = "POST"
    path = "/v1/chat/completions"
    query = ""
    peer = "127.0.0.1"
    raw_headers: tuple[tuple[bytes, bytes], ...] = ()
    recalled: Recalled | None = None

    def __init__(self, name: str) -> None:
        self.id = name
        self.headers: Mapping[str, str] = _HEADERS
        self.length: int | None = len(_BODY)

    def take(self, _limit: int) -> bytes:
        return _BODY

    async def read(self, _limit: int) -> bytes:
        return _BODY

    async def chunks(self, _limit: int) -> AsyncIterator[bytes]:
        yield _BODY


class NoModels:
    """The port `Catalogue`."""

    def route(self, _asked: str) -> Route | None:
        return None

    def names(self) -> tuple[str, ...]:
        return ()

    def routes(self) -> tuple[Route, ...]:
        return ()

    def near(self, _asked: str) -> str | None:
        return None


class _Exchanges:
    """Makes exchanges that have come to their end: what is usual, completed at the first try."""

    def __init__(self) -> None:
        self._provider = Provider("vendor", DemoTransport(), Timeouts(), {})
        self._target = Target(self._provider, "gpt-4o")
        self._route = Route("*", (self._target,))
        self._runtime = Runtime(
            version="0123456789ab",
            middlewares=(),
            catalogue=NoModels(),
            callers=None,
            passthrough=None,
            providers={},
            ledger=NoLedger(),
            max_body=1_000_000,
        )
        self._caller = Caller("bench", ModelPatterns.of(("*",)), team="red", project="apollo")
        self._ids = RequestIds()

    def one(self) -> Exchange:
        x = Exchange(self._runtime, Request(self._ids.new()), CHAT, "/chat/completions")
        x.arrived = x.admitted = monotonic()
        x.caller = self._caller
        x.body = Body(_BODY)
        x.model = "gpt-4o"
        x.route = self._route
        x.plan = (self._target,)
        attempt = Attempt(self._target)
        attempt.head = attempt.first_byte = x.first_byte = monotonic()
        attempt.status = 200
        x.attempts.append(attempt)
        x.reply = Reply(200, [(b"content-type", b"application/json")])
        x.tail.feed(CHAT_BODY)
        x.finished = True
        return x


class _Meter:
    """Times a step many times, in the middle of other work."""

    def __init__(self, rounds: int, exchanges: _Exchanges) -> None:
        self._rounds = rounds
        self._exchanges = exchanges
        self._one, self._other = socket.socketpair()
        self._clock = 0.0
        self._clock, _ = self.of(lambda _: None)

    def of(self, step: Callable[[Exchange], object]) -> tuple[float, float]:
        """Median and mean of the fastest 99 in 100, in microseconds."""
        took = []
        for _ in range(self._rounds):
            x = self._exchanges.one()
            self._other_work()
            begun = monotonic()
            step(x)
            took.append(monotonic() - begun)
        took.sort()
        usual = took[: len(took) * 99 // 100]
        return took[len(took) // 2] * 1e6 - self._clock, fmean(usual) * 1e6 - self._clock

    def _other_work(self) -> None:
        self._one.send(CHAT_BODY)
        self._other.recv(4096)
        _ = _WALK[::_LINE]

    def close(self) -> None:
        self._one.close()
        self._other.close()


def _pricer() -> Pricer:
    prices = PriceTable(in_force)
    _ = prices.catalogue
    own = {("vendor", "*"): Price.of({"input": 2_500_000_000, "output": 10_000_000_000})}
    return Pricer(prices, {"vendor": Vendor("openai", "http://127.0.0.1")}, own)


def _spools(folder: Path) -> Iterator[tuple[str, Spool]]:
    yield "mapped", Spool(folder / "mapped", "worker-0", SpoolOptions())
    yield "plain", Spool(folder / "plain", "worker-0", SpoolOptions(mapped=False))


def _appending(spool: Spool, line: bytes) -> Callable[[Exchange], object]:
    return lambda _: spool.append(line)


def measure(folder: Path, rounds: int) -> list[list[str]]:
    """A row for each step."""
    exchanges = _Exchanges()
    pricer, identity = _pricer(), Identity("worker-0")
    line = Lines(identity, pricer).of(exchanges.one())
    meter = _Meter(rounds, exchanges)
    rows = [["µs per request", "median", "mean of 99 %"]]

    def add(name: str, step: Callable[[Exchange], object]) -> None:
        usual, mean = meter.of(step)
        rows.append([name, f"{usual:.2f}", f"{mean:.2f}"])

    record = record_of_exchange(exchanges.one(), identity, pricer)
    add("record, the plain way", lambda x: record_of_exchange(x, identity, pricer))
    add("line of a record", lambda _: line_of(record))
    add("line, the quick way", Lines(identity, pricer).of)
    for name, spool in _spools(folder):
        spool.open()
        ledger = SpoolLedger(spool, pricer, identity, refuse_when_failing=True)
        add(f"append, {name}", _appending(spool, line))
        add(f"settle, {name}", ledger.settle)
        spool.close()
    meter.close()
    rows.append(["bytes of a line", str(len(line)), ""])
    return rows


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary one)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        print(table(measure(Path(folder), given.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
