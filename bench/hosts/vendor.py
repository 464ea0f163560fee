"""The mock vendor on an address that other hosts reach, which counts the calls that it answered.

`GET /calls` tells how many chat completions arrived: what the hosts let through together, whatever
they say themselves. Traces are taken as `bench.vendor` takes them, and not counted.
Run: `python -m bench.hosts.vendor --host ADDRESS`.
"""

import argparse
import asyncio
import gc
from dataclasses import dataclass

import uvloop

from bench import answers
from bench.measure import raise_file_limit
from bench.pacer import Pacer
from bench.service import announce, serve_for
from bench.vendor import VendorConnection
from proxy.base.jsonio import dumps

_CHAT = b"/v1/chat/completions"


@dataclass(slots=True)
class Calls:
    """How many."""

    count: int = 0


class CountingConnection(VendorConnection):
    """One client of the vendor."""

    __slots__ = ("_calls",)

    def __init__(self, pacer: Pacer, frames: answers.Frames, calls: Calls) -> None:
        super().__init__(pacer, frames)
        self._calls = calls

    def _answer(self, url: bytes, plan: bytes, order: bytes, body: bytes) -> None:
        if url == b"/calls":
            page = dumps({"calls": self._calls.count})
            self.write(answers.json_answer(b"200 OK", page, b"Connection: close\r\n"))
            self.hang_up()
            return
        self._calls.count += url == _CHAT
        super()._answer(url, plan, order, body)


async def start(host: str, port: int = 0) -> asyncio.Server:
    """Listen there."""
    loop = asyncio.get_running_loop()
    pacer, frames, calls = Pacer(loop), answers.Frames(), Calls()
    return await loop.create_server(
        lambda: CountingConnection(pacer, frames, calls), host, port, backlog=4096
    )


async def _main(host: str, seconds: float) -> None:
    server = await start(host)
    gc.freeze()
    announce(server.sockets[0].getsockname()[1])
    await serve_for(seconds)
    server.close()


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.hosts.vendor", description=__doc__)
    options.add_argument("--host", required=True)
    options.add_argument("--for", dest="seconds", type=float, default=600.0)
    given = options.parse_args()
    raise_file_limit()
    uvloop.run(_main(given.host, given.seconds))


if __name__ == "__main__":
    main()
