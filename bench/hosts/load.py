"""The load: one process of the harness's for each host, in an open loop, all in the same window.

Each host gets the same rate from a client of its own, as behind a balancer that is fair. What is
due is sent whether or not the last was answered, and every answer is checked.
"""

import os
import select
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.children import Child, ChildFailed
from bench.harness.loader import Job
from bench.harness.loops import Times
from bench.harness.recorder import Recorder
from bench.harness.scenarios import Scenario, Shape
from bench.measure import cores
from proxy.base.clock import monotonic
from proxy.base.jsonio import dumps, loads

_START = 1.0
_AFTER = 15.0
_CONNECTIONS = 256


def run(urls: Sequence[str], key: str, rate: float, seconds: float, folder: Path) -> Recorder:
    """`rate` a second to each of the URLs; what all clients saw together. Raises ChildFailed."""
    begins = monotonic() + _START
    times = Times(begins, begins, begins + seconds, silence=10.0)
    shape = Shape(connections=_CONNECTIONS, rate=rate, arrivals="poisson")
    scenario = Scenario("hosts", "chat to each host", shape=shape)
    with ExitStack() as stack:
        loaders = []
        for number, url in enumerate(urls):
            job = Job(url, key, None, scenario, times, seed=number)
            path = folder / f"load-{number}.json"
            path.touch(mode=0o600)
            path.write_bytes(dumps(job.as_json()))
            arguments = ["-m", "bench.harness.loader", str(path)]
            loaders.append(stack.enter_context(Child("load", arguments, cores=cores())))
        until = times.closes + _AFTER
        whole, *others = [_report(loader, until) for loader in loaders]
    for other in others:
        whole.add(other)
    return whole


def _report(loader: Child, until: float) -> Recorder:
    said = b""
    while True:
        left = until - monotonic()
        ready, _, _ = select.select([loader.output()], [], [], max(left, 0.0))
        if not ready:
            raise ChildFailed("load: did not end in time")
        data = os.read(loader.output(), 1 << 20)
        if not data:
            break
        said += data
    for line in said.splitlines():
        found = loads(line)
        if "report" in found:
            return Recorder.from_json(found["report"])
    raise ChildFailed(f"load: {loader.why()}")
