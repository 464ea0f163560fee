"""The service under the fault run: `llm-proxy serve` with the embedded store, and who is who in it.

Processes are found anew each time, by their command line or PostgreSQL's own pid file, because
killing them is what the run is about. Numbers come from the admin port, when there is one.
"""

import asyncio
import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.children import Child, ChildFailed
from bench.faults_requests import MODEL, PRICE, in_usd, key_name, key_text
from bench.measure import cores, find_below, lives, start_time, tree
from bench.targets import free_port, start_vendor
from proxy.base.clock import monotonic
from proxy.stores.postgres.cluster import running_address

_START_LIMIT = 30.0
_POLL = 0.02
_HTTP_LIMIT = 2.0
_GAUGE = re.compile(rb"^llm_proxy_(\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)

_CONFIG = """\
listen: 127.0.0.1:{port}
workers: 1
auth: required
data_dir: {data}
store: embedded
spool: {{segment: 1MiB, age: 10s}}
admin: {{listen: "127.0.0.1:{admin}"}}
telemetry: {{log: {{level: error, format: text}}}}
proxies: {{none: ["*"]}}
providers:
  vendor: {{kind: openai, base_url: "{vendor}", api_keys: [sk-vendor]}}
models:
  {model}:
    targets: [{{provider: vendor, model: {model}}}]
    price: {{{prices}}}
    breaker: {{failures: 1000}}  # The vendor's failures are meant to reach the callers.
keys:
{keys}
"""
_KEY = "  - {{name: {name}, key: {key}, team: team-{team}, tags: [faults, team-{team}]}}"


@dataclass(frozen=True, slots=True)
class Shipping:
    """What control says of the spool."""

    behind_records: int
    behind_bytes: int
    store_up: bool
    dead: int


@dataclass(frozen=True, slots=True)
class Victim:
    """A process, told from a later one with the same id."""

    pid: int
    began: int | None

    @property
    def lives(self) -> bool:
        return lives(self.pid, self.began)


class Proxy:
    """A running service."""

    def __init__(self, stack: ExitStack, folder: Path, keys: int) -> None:
        """Start the vendor and the proxy; they end with the stack. `folder`: its files."""
        self._data = folder / "data"
        self.port, self.admin = free_port(), free_port()
        vendor = start_vendor(stack, cores())
        config = folder / "faults.yaml"
        config.write_text(self._config(vendor.url, keys))
        arguments = ["-m", "proxy.cli.main", "serve", "--config", str(config)]
        self._child = stack.enter_context(Child("proxy", arguments, cores=cores()))

    def _config(self, vendor: str, keys: int) -> str:
        rows = [
            _KEY.format(name=key_name(number), key=key_text(number), team=number % 7)
            for number in range(keys)
        ]
        return _CONFIG.format(
            port=self.port,
            admin=self.admin,
            data=self._data,
            vendor=vendor,
            model=MODEL,
            prices=", ".join(f"{name}: {in_usd(rate)}" for name, rate in PRICE.items()),
            keys="\n".join(rows),
        )

    async def ready(self) -> None:
        """Return when it takes requests and its store is up. Raises ChildFailed."""
        until = monotonic() + _START_LIMIT
        while monotonic() < until:
            if not self._child.running:
                break
            shipping = await self.shipping()
            if shipping is not None and shipping.store_up and await self.serves():
                return
            await asyncio.sleep(_POLL)
        raise ChildFailed("the proxy is not ready")

    async def serves(self) -> bool:
        """Whether a worker takes requests now."""
        return (await fetch(self.port, "/healthz")).startswith(b"HTTP/1.1 200")

    async def shipping(self) -> Shipping | None:
        """None while control does not answer."""
        return shipping_of(await fetch(self.admin, "/metrics"))

    def control(self) -> Victim | None:
        return self._find("proxy.processes.control")

    def worker(self) -> Victim | None:
        return self._find("proxy.processes.worker")

    def postmaster(self) -> Victim | None:
        """PostgreSQL's first process."""
        place = self._data / "postgres/data"
        try:
            pid = int((place / "postmaster.pid").read_text().split("\n", 1)[0])
            runs = Path(f"/proc/{pid}/cwd").readlink() == place.resolve()
        except (OSError, ValueError):
            return None  # Not there, not whole yet, or of a process that is gone.
        return Victim(pid, start_time(pid)) if runs else None

    async def database(self) -> str | None:
        """The address of the store, while there is one."""
        return await asyncio.to_thread(running_address, self._data)

    def complaints(self) -> str:
        """The end of the log."""
        return self._child.why()

    def _find(self, word: str) -> Victim | None:
        pid = find_below(self._child.pid, word)
        return Victim(pid, start_time(pid)) if pid is not None else None


def family(victim: Victim) -> list[int]:
    """The process and all below it."""
    return tree(victim.pid)


def open_to_all(folder: Path) -> None:
    """Let PostgreSQL, which does not run as root, come in."""
    if os.geteuid() == 0:
        folder.chmod(0o755)


def shipping_of(page: bytes) -> Shipping | None:
    """What a page of metrics says; None when it is none."""
    if not page.startswith(b"HTTP/1.1 200"):
        return None
    found = {name.decode(): float(value) for name, value in _GAUGE.findall(page)}
    if "spool_lag_bytes" not in found:
        return None
    return Shipping(
        int(found.get("spool_lag_records", 0)),
        int(found["spool_lag_bytes"]),
        found.get("store_up") == 1,
        int(found.get("spool_dead_records", 0)),
    )


async def fetch(port: int, path: str) -> bytes:
    """A whole answer, empty when there is none."""
    try:
        async with asyncio.timeout(_HTTP_LIMIT):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                return await reader.read(-1)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""
