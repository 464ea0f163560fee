"""The mock vendor, failing a share of its requests: `python -m bench.flapping_vendor`.

In turn: an error status (500), a reset before the head, and an answer that is cut before it has any
content (of a stream its head alone, of JSON the first half). `GET /fail/0.3` sets the share, `GET
/counts` says how many were asked and failed since.
"""

import argparse
import asyncio
import socket
import struct
from itertools import cycle

import uvloop

from bench import answers
from bench.measure import raise_file_limit
from bench.ordered import Order
from bench.pacer import Pacer
from bench.service import announce, serve_for
from bench.vendor import VendorConnection
from proxy.base.jsonio import dumps

_AT_ONCE = struct.pack("ii", 1, 0)
_WAYS = ("status", "reset", "cut")


class Share:
    """Spreads failures evenly: of ten requests three fail, whichever they are."""

    def __init__(self) -> None:
        self.asked = self.failed = 0
        self._share = self._due = 0.0
        self._ways = cycle(_WAYS)

    def set(self, share: float) -> None:
        """From now on, counting anew."""
        self._share, self._due = share, 0.0
        self.asked = self.failed = 0

    def next(self) -> str | None:
        """How the next request fails; None: it does not."""
        self.asked += 1
        self._due += self._share
        if self._due < 1.0:
            return None
        self._due -= 1.0
        self.failed += 1
        return next(self._ways)


class FlappingConnection(VendorConnection):
    """One client of it."""

    __slots__ = ("_share",)

    def __init__(self, pacer: Pacer, frames: answers.Frames, share: Share) -> None:
        super().__init__(pacer, frames)
        self._share = share

    def _answer(self, url: bytes, plan: bytes, order: bytes, body: bytes) -> None:
        if url.startswith(b"/fail/"):
            self._share.set(float(url.removeprefix(b"/fail/")))
            self.write(answers.HEALTHY)
        elif url == b"/counts":
            counts = {"asked": self._share.asked, "failed": self._share.failed}
            self.write(answers.json_answer(b"200 OK", dumps(counts)))
        elif (way := self._share.next()) is None:
            super()._answer(url, plan, order, body)
        else:
            self._fail(way, body)

    def _fail(self, way: str, body: bytes) -> None:
        if way == "status":
            self.write(Order(b"error").refusal or b"")
            return
        if way == "cut":
            stream = answers.wants_stream(body)
            self.write(answers.STREAM_HEAD if stream else Order(b"cut").plain())
        elif self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.hang_up()


async def start(share: Share, port: int = 0) -> asyncio.Server:
    """Listen on loopback."""
    loop = asyncio.get_running_loop()
    pacer, frames = Pacer(loop), answers.Frames()
    return await loop.create_server(
        lambda: FlappingConnection(pacer, frames, share), "127.0.0.1", port, backlog=4096
    )


async def _main(port: int, seconds: float) -> None:
    server = await start(Share(), port)
    announce(server.sockets[0].getsockname()[1])
    await serve_for(seconds)
    server.close()


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.flapping_vendor", description=__doc__)
    options.add_argument("--port", type=int, default=0, help="0: the kernel chooses")
    options.add_argument("--for", dest="seconds", type=float, default=600.0)
    given = options.parse_args()
    raise_file_limit()
    uvloop.run(_main(given.port, given.seconds))


if __name__ == "__main__":
    main()
