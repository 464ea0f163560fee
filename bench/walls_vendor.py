"""The vendor of the walls run: the mock vendor, with books of what every scope owes it.

Its first path segment names the provider; `x-bench-scopes` says whose the call is; the model's name
has the price. It keeps to the cap that is sent, and charges for what it said, whole, cut or left:
the truth that no proxy can see. `GET /books` tells all of it; with `x-bench-clock`, the times at
which calls arrived are kept too.
Run: `python -m bench.walls_vendor --calls N --seed N`.
"""

import argparse
import asyncio
import re
from array import array
from collections import Counter
from dataclasses import dataclass, field

import uvloop

from bench import answers, ordered
from bench.measure import raise_file_limit
from bench.pacer import Pacer
from bench.service import announce, serve_for
from bench.vendor import VendorConnection
from bench.walls_world import Rates, Tokens, make
from proxy.base.clock import monotonic
from proxy.base.jsonio import dumps

_CAP = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d+)')
_MODEL = re.compile(rb'"model"\s*:\s*"([^"]+)"')
_SILENT = Tokens(20, 10)
"""What an answer used that does not say."""


@dataclass(slots=True)
class Books:
    """What is owed, in nano-USD by scope, and when calls arrived."""

    rates: dict[bytes, Rates]
    owed: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    unknown: int = 0
    arrivals: "array[float]" = field(default_factory=lambda: array("d"))

    def charge(self, model: bytes, scopes: str, used: Tokens) -> None:
        """Put it down for each of the scopes."""
        rates = self.rates.get(model)
        if rates is None:
            self.unknown += 1
            return
        cost = rates.cost(used)
        for scope in scopes.split(","):
            self.owed[scope] += cost

    def page(self) -> bytes:
        """All of it."""
        told = {
            "owed": dict(self.owed),
            "calls": self.calls,
            "unknown": self.unknown,
            "arrivals": list(self.arrivals),
        }
        return answers.json_answer(b"200 OK", dumps(told))


@dataclass(slots=True)
class _Open:
    """A stream that is being sent."""

    model: bytes
    scopes: str
    used: Tokens
    pieces: int = 0


class WallsConnection(VendorConnection):
    """One client of the vendor."""

    __slots__ = ("_books", "_clock", "_open", "_scopes")

    def __init__(self, pacer: Pacer, frames: answers.Frames, books: Books) -> None:
        super().__init__(pacer, frames)
        self._books = books
        self._scopes = b""
        self._clock = False
        self._open: _Open | None = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._scopes = b""
        self._clock = False

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        name = name.lower()
        if name == b"x-bench-scopes":
            self._scopes = value
        elif name == b"x-bench-clock":
            self._clock = True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._broken()

    def write(self, data: bytes) -> None:
        if self._open is not None:
            self._open.pieces += 1
        super().write(data)

    def hang_up(self) -> None:
        self._broken()
        super().hang_up()

    def stream_ended(self) -> None:
        ended, self._open = self._open, None
        if ended is not None:
            self._books.charge(ended.model, ended.scopes, ended.used)
        super().stream_ended()

    def _broken(self) -> None:
        """A stream ends before its time: what was said is owed, no more."""
        ended, self._open = self._open, None
        if ended is not None:
            said = Tokens(_SILENT.input, min(ended.pieces, _SILENT.output))
            self._books.charge(ended.model, ended.scopes, said)

    def _answer(self, url: bytes, plan: bytes, order: bytes, body: bytes) -> None:
        if url == b"/books":
            self.write(self._books.page())
            self.hang_up()
            return
        books = self._books
        books.calls += 1
        if self._clock:
            books.arrivals.append(monotonic())
        provider, _, rest = url[1:].partition(b"/")
        wanted = ordered.read(order)
        if not rest.startswith(b"chat/completions") or wanted is None:
            self.write(answers.NOT_FOUND)
            return
        found, cap = _MODEL.search(body), _CAP.search(body)
        used = _used(order, int(cap[1]) if cap else None)
        call = _Open(
            found[1] if found else b"",
            f"{self._scopes.decode()},provider={provider.decode()}",
            used,
        )
        if order.startswith(b"whole"):
            wanted = ordered.read(b"whole %d %d %d %d" % used) or wanted
        streamed = wanted.refusal is None and answers.wants_stream(body)
        self._answer_ordered(wanted, plan, body)
        if streamed:
            self._open = call
        elif wanted.refusal is None:
            books.charge(call.model, call.scopes, used)


def _used(order: bytes, cap: int | None) -> Tokens:
    """What an answer uses: as it was ordered, within its cap."""
    numbers = [int(each) for each in order.split()[1:]]
    if len(numbers) != 4:
        return _SILENT
    tokens_in, tokens_out, cached, reasoning = numbers
    if cap is not None:
        tokens_out = min(tokens_out, cap)
    return Tokens(tokens_in, tokens_out, cached, min(reasoning, tokens_out))


async def start(books: Books, port: int = 0) -> asyncio.Server:
    """Listen on loopback."""
    loop = asyncio.get_running_loop()
    pacer, frames = Pacer(loop), answers.Frames()
    return await loop.create_server(
        lambda: WallsConnection(pacer, frames, books), "127.0.0.1", port, backlog=4096
    )


async def _main(books: Books, seconds: float) -> None:
    server = await start(books)
    announce(server.sockets[0].getsockname()[1])
    await serve_for(seconds)
    server.close()


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.walls_vendor", description=__doc__)
    options.add_argument("--calls", type=int, required=True, help="as the run has")
    options.add_argument("--seed", type=int, required=True, help="as the run has")
    options.add_argument("--for", dest="seconds", type=float, default=3600.0)
    given = options.parse_args()
    raise_file_limit()
    rates = make(given.calls, given.seed).rates
    uvloop.run(_main(Books({name.encode(): each for name, each in rates.items()}), given.seconds))


if __name__ == "__main__":
    main()
