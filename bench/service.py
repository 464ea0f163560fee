"""How a measured server process says where it listens, and how it ends.

The first line of its output is `{"port": N}`. It ends at SIGTERM or SIGINT and, because whoever
started it may have been killed, after a number of seconds in any case.
"""

import asyncio
import signal

from proxy.base.jsonio import dumps


def announce(port: int) -> None:
    """Tell the starter which port it is."""
    print(dumps({"port": port}).decode(), flush=True)


async def serve_for(seconds: float) -> None:
    """Return at the first signal to end, or when the time is over."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    timer = loop.call_later(seconds, told.set)
    await told.wait()
    timer.cancel()
