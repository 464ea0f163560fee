"""Workers that hold and settle as fast as they can, and takers, all killed at random points.

python -m tests.unit.usage_holds.holding_process <spool> <rounds> <seed>

Prints the id of each request whose hold was kept before its worker was killed. Forks, so that a
kill costs a millisecond; nothing here has threads.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from proxy.usage.holds_taken import take_over
from proxy.usage.recording import Identity, record_of_exchange
from proxy.usage.spool import Spool, SpoolOptions
from proxy.wire.record import line_of
from tests.unit.usage.test_usage_lines import PRICES
from tests.unit.usage_holds.held import Holding, request

_AT_ONCE = 6


def work(spool: Path, chance: random.Random, told: int) -> None:
    """Keep a few requests in flight: hold, sometimes grow, at the end record and clear."""
    worker = Holding(spool, mapped=chance.random() < 0.7)
    writer = Spool(spool, "worker-0", SpoolOptions(segment=16 * 1024, step=8 * 1024))
    open_ones = []
    while True:
        x = request()
        attempt = worker.hold(x, chance.randrange(1, 10**9))
        if chance.random() < 0.3:
            attempt = worker.hold(x, chance.randrange(1, 10**9))
        os.write(told, f"{x.id}\n".encode())
        open_ones.append(x)
        if chance.random() < 0.3 and attempt.kept is not None:
            attempt.kept.grew(2 * 10**9, 5)
        if len(open_ones) > _AT_ONCE:
            done = open_ones.pop(chance.randrange(len(open_ones)))
            writer.append(line_of(record_of_exchange(done, Identity("worker-0"), PRICES)))
            for attempt in done.attempts:
                if attempt.kept is not None:
                    attempt.kept.clear()


def killed(run: Callable[[], object], after: float) -> None:
    """Run it in a process of its own, for so many seconds at most."""
    pid = os.fork()
    if not pid:
        try:
            run()
        finally:
            os._exit(0)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def main(spool: Path, rounds: int, seed: int) -> None:
    """Kill so many workers, after each of them a taker or two; the last one is let be."""
    chance = random.Random(seed)
    for _ in range(rounds):
        chance.random()
        killed(lambda: work(spool, chance, sys.stdout.fileno()), chance.random() * 0.012)
        for _ in range(chance.randrange(3)):
            killed(lambda: take_over(spool), chance.random() * 0.004)
    take_over(spool)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
