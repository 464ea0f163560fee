"""The service under the walls run: `llm-proxy serve` with so many workers, and their deaths."""

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import walls_config, walls_redis
from bench.children import Child, ChildFailed
from bench.faults_load import Load
from bench.faults_proxy import Shipping, Victim, fetch, shipping_of
from bench.measure import cores, start_time, tree
from bench.targets import free_port
from bench.walls_config import Places
from bench.walls_world import Budget, World
from proxy.base.clock import monotonic
from proxy.base.jsonio import loads
from proxy.stores.postgres.cluster import running_address

_START_LIMIT = 40.0
_POLL = 0.02
_PROC = Path("/proc")


class Service:
    """The vendor, Redis and the proxy, running; all end with the stack."""

    def __init__(self, stack: ExitStack, folder: Path, workers: int, *, redis: bool) -> None:
        """Redis is started; then `vendor`, then `serve`."""
        self._stack = stack
        self._folder = folder
        self._workers = workers
        self.redis = walls_redis.start(stack, folder) if redis else None
        self.port, self._admin = free_port(), free_port()
        self._vendor = 0
        self._child: Child | None = None

    def vendor(self, calls: int, seed: int) -> None:
        """Start the vendor. Raises ChildFailed."""
        arguments = ["-m", "bench.walls_vendor", "--calls", str(calls), "--seed", str(seed)]
        child = self._stack.enter_context(Child("vendor", arguments, cores=cores()))
        self._vendor = child.line(_START_LIMIT)["port"]

    def serve(self, world: World, budgets: Sequence[Budget]) -> None:
        """Start the proxy with these walls."""
        redis = None if self.redis is None else f"redis://127.0.0.1:{self.redis}"
        data = self._folder / "data"
        places = Places(self.port, self._admin, self._vendor, free_port(), redis, data)
        self.start(walls_config.text(world, budgets, places, self._workers))

    def start(self, text: str) -> None:
        """Start the proxy with this configuration."""
        config = self._folder / "walls.yaml"
        config.write_text(text)
        arguments = ["-m", "proxy.cli.main", "serve", "--config", str(config)]
        self._child = self._stack.enter_context(Child("proxy", arguments, cores=cores()))

    async def ready(self, *, store: bool = True) -> None:
        """Return when all workers take requests and, if wanted, the store is up. Raises
        ChildFailed."""
        until = monotonic() + _START_LIMIT
        while monotonic() < until:
            if self._child is None or not self._child.running:
                break
            shipping = await self.shipping() if store else None
            up = not store or (shipping is not None and shipping.store_up)
            if up and len(self.workers()) == self._workers and await self._serves():
                return
            await asyncio.sleep(_POLL)
        raise ChildFailed(f"the proxy is not ready: {self.complaints()}")

    async def _serves(self) -> bool:
        return (await fetch(self.port, "/healthz")).startswith(b"HTTP/1.1 200")

    async def shipping(self) -> Shipping | None:
        """None while control does not answer."""
        return shipping_of(await fetch(self._admin, "/metrics"))

    def workers(self) -> list[Victim]:
        """All workers that live."""
        if self._child is None:
            return []
        found = []
        for pid in tree(self._child.pid)[1:]:
            try:
                command = (_PROC / str(pid) / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            victim = Victim(pid, start_time(pid))
            if b"proxy.processes.worker" in command and victim.lives:
                found.append(victim)
        return found

    async def database(self) -> str:
        """The address of the store. Raises ChildFailed."""
        address = await asyncio.to_thread(running_address, self._folder / "data")
        if address is None:
            raise ChildFailed("the store is gone")
        return address

    async def vendors_books(self) -> dict[str, Any]:
        """What the vendor knows: `owed`, in truth, by scope; `arrivals` of calls."""
        page = await fetch(self._vendor, "/books")
        found: dict[str, Any] = loads(page.partition(b"\r\n\r\n")[2])
        return found

    @property
    def vendor_port(self) -> int:
        return self._vendor

    def complaints(self) -> str:
        """The end of the log."""
        return self._child.why() if self._child is not None else "was not started"


class Kills:
    """Ends workers with SIGKILL, so many, spread over the run."""

    def __init__(self, service: Service, load: Load, places: Sequence[int], seed: int) -> None:
        """`places`: requests sent before each."""
        self._service = service
        self._load = load
        self._places = places
        self._draw = random.Random(f"kills {seed}")
        self.done = 0

    async def run(self) -> None:
        """Do all of them, each when the one before has its successor. Raises ChildFailed."""
        for place in self._places:
            await self._load.reached(place)
            victims = self._service.workers()
            victim = self._draw.choice(victims)
            os.kill(victim.pid, signal.SIGKILL)
            self.done += 1
            await self._service.ready(store=False)


def places(calls: int, kills: int, seed: int) -> list[int]:
    """Where to kill: once in each part of the run, but for its ends."""
    draw = random.Random(f"places {seed}")
    return [int(calls * (0.03 + 0.85 * (n + draw.random()) / kills)) for n in range(kills)]
