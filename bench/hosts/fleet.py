"""All that runs: the shared stores, the vendor, N hosts, each in a namespace; what each part uses.

A part is what is told apart in the figures: workers, controls and supervisors of all hosts, Redis,
PostgreSQL with all its processes. CPU is that of whole processes and of what has ended below them.
"""

import http.client
import resource
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from bench.children import Child, ChildFailed
from bench.faults_proxy import Shipping, shipping_of
from bench.harness.watch import tree_seconds
from bench.hosts import configuration, database, stores
from bench.hosts.configuration import ADMIN_PORT, PORT
from bench.hosts.network import STORE, VENDOR, Network
from bench.measure import cores, find_below, machine_seconds
from proxy.base.clock import monotonic
from proxy.base.jsonio import loads

PartName = Literal["workers", "controls", "supervisors", "redis", "postgres"]
PARTS: tuple[PartName, ...] = get_args(PartName)

_READY = 40.0
_POLL = 0.1
_HTTP_LIMIT = 5.0


class Used(NamedTuple):
    """CPU seconds so far, by part, of the vendor and the load, and of the whole machine; when this
    was."""

    at: float
    machine: float
    ours: float
    parts: dict[PartName, float]


class Host(NamedTuple):
    """One host: its processes and where it is reached."""

    address: str
    root: Child
    worker: int
    control: int

    @property
    def url(self) -> str:
        return f"http://{self.address}:{PORT}/v1"


class _Shared(NamedTuple):
    redis: Child
    postgres: Child
    vendor: Child
    vendor_port: int


class Fleet:
    """Started by `start`; ends with the stack that was given."""

    def __init__(self, network: Network, shared: "_Shared", hosts: list[Host]) -> None:
        self.hosts = hosts
        self.store = network.address(STORE)
        self._redis, self._postgres, self._vendor = shared.redis, shared.postgres, shared.vendor
        self._vendor_at = (network.address(VENDOR), shared.vendor_port)

    @classmethod
    def start(cls, stack: ExitStack, network: Network, folder: Path) -> "Fleet":
        """Start everything, and return when every host serves and ships. Raises ChildFailed."""
        python = [sys.executable]
        redis = stores.start_redis(stack, network, folder / "redis")
        (folder / "postgres").mkdir(mode=0o755)
        postgres = stores.start_postgres(stack, network, folder / "postgres", python)
        own = ["-m", "bench.hosts.vendor", "--host", network.address(VENDOR)]
        whole = network.within(VENDOR, [*python, *own])
        vendor = stack.enter_context(Child("vendor", whole, cores=cores(), program="ip"))
        port = vendor.line(_READY)["port"]
        shared = configuration.Shared(
            store=database.address(network.address(STORE)),
            redis=f"redis://{network.address(STORE)}:{stores.REDIS_PORT}",
            vendor=f"http://{network.address(VENDOR)}:{port}",
        )
        started = [_start(stack, network, role, shared, folder / role) for role in network.hosts]
        hosts = [_ready(network.address(role), child) for role, child in started]
        return cls(network, _Shared(redis, postgres, vendor, port), hosts)

    def used(self) -> Used:
        """What every part has used so far."""
        parts: dict[PartName, float] = {
            "workers": sum(tree_seconds(host.worker) for host in self.hosts),
            "controls": sum(tree_seconds(host.control) for host in self.hosts),
            "redis": tree_seconds(self._redis.pid),
            "postgres": tree_seconds(self._postgres.pid),
        }
        whole = sum(tree_seconds(host.root.pid) for host in self.hosts)
        parts["supervisors"] = whole - parts["workers"] - parts["controls"]
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)  # The load, when it has ended.
        here = resource.getrusage(resource.RUSAGE_SELF)
        ours = sum(each.ru_utime + each.ru_stime for each in (ended, here))
        ours += tree_seconds(self._vendor.pid)
        return Used(monotonic(), machine_seconds(), ours, parts)

    def behind(self) -> int:
        """Records that no host has shipped yet."""
        return sum(_shipping(host.address).behind_records for host in self.hosts)

    def vendors_calls(self) -> int:
        """How many calls the vendor has got."""
        _, body = _get(*self._vendor_at, "/calls")
        calls: int = loads(body)["calls"]
        return calls


def _start(
    stack: ExitStack, network: Network, role: str, shared: configuration.Shared, folder: Path
) -> tuple[str, Child]:
    folder.mkdir()
    file = folder / "config.yaml"
    file.write_text(configuration.text(network.address(role), shared, folder / "data"))
    serve = [sys.executable, "-m", "proxy.cli.main", "serve", "--config", str(file)]
    child = Child(role, network.within(role, serve), cores=cores(), program="ip")
    return role, stack.enter_context(child)


def _ready(address: str, child: Child) -> Host:
    """The host, once it serves and ships. Raises ChildFailed."""
    until = monotonic() + _READY
    while monotonic() < until and child.running:
        status, _ = _get(address, PORT, "/readyz")
        _, page = _get(address, ADMIN_PORT, "/metrics")
        shipping = shipping_of(b"HTTP/1.1 200\r\n" + page)
        worker = find_below(child.pid, "proxy.processes.worker")
        control = find_below(child.pid, "proxy.processes.control")
        up = shipping is not None and shipping.store_up
        if status == 200 and up and worker is not None and control is not None:
            return Host(address, child, worker, control)
        time.sleep(_POLL)
    raise ChildFailed(f"{child.name} is not ready: {child.why()}")


def _shipping(address: str) -> Shipping:
    status, page = _get(address, ADMIN_PORT, "/metrics")
    found = shipping_of(b"HTTP/1.1 %d\r\n" % status + page)
    if found is None:
        raise ChildFailed(f"control of {address} does not answer ({status})")
    return found


def _get(address: str, port: int, path: str) -> tuple[int, bytes]:
    """Status and body; 0 and nothing when there is no answer."""
    connection = http.client.HTTPConnection(address, port, timeout=_HTTP_LIMIT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
