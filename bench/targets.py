"""What can be measured: the vendor directly, the bare pass-through, and the proxy.

The proxy runs as an operator would run it: supervisor, one worker, control, keys required, one
catch-all model. It is judged by its worker, the process that a core is bought for; the CPU of the
whole tree is reported beside it.
"""

import http.client
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from bench.children import Child, ChildFailed
from bench.measure import find_below, tree
from bench.requests import chat_body
from proxy.base.clock import monotonic

KEY = "sk-bench"
_READY_LIMIT = 20.0
_LIFETIME = 600.0
_POLL = 0.01
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_CONFIG = """\
listen: 127.0.0.1:{port}
workers: 1
auth: required
keys:
  - {{name: bench, key: {key}, models: ["*"]}}
providers:
  vendor:
    kind: openai
    base_url: {upstream}
    api_keys: [sk-vendor]
    pool: {{max_connections: 10000}}
proxies: {{none: ["*"]}}
store: {store}
admin: {{listen: "127.0.0.1:0"}}
telemetry: {{log: {{level: warning}}}}
models:
  "*": {{targets: [{{provider: vendor, model: "*"}}]}}
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `pid`: the process that is judged; `root`: the top of its tree."""

    name: str
    url: str
    pid: int
    root: int

    def watched(self) -> dict[str, int]:
        """Names and pids for `load --watch`: the judged process and all of the tree."""
        whole = {f"tree{number}": pid for number, pid in enumerate(tree(self.root))}
        return {"judged": self.pid, **whole}


def free_port() -> int:
    """A port that was free a moment ago, for servers that must be told theirs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def first_answer(
    url: str,
    child: Child,
    *,
    limit: float = _READY_LIMIT,
    model: str = "bench-chat",
    headers: Mapping[str, str] = NO_HEADERS,
) -> None:
    """Return when a chat completion is answered with 200. Raises ChildFailed if none comes."""
    place = urlsplit(url)
    until = monotonic() + limit
    last = "no connection"
    while monotonic() < until:
        if not child.running:
            raise ChildFailed(f"{child.name}: {child.why()}")
        connection = http.client.HTTPConnection(place.netloc, timeout=5)
        try:
            connection.request(
                "POST",
                f"{place.path}/chat/completions",
                chat_body(1, model, stream=False),
                {
                    "Authorization": f"Bearer {KEY}",
                    "Content-Type": "application/json",
                    **headers,
                },
            )
            answer = connection.getresponse()
            last = f"{answer.status} {answer.read()[:500]!r}"
            if answer.status == 200:
                return
        except (OSError, http.client.HTTPException) as error:
            last = repr(error)
        finally:
            connection.close()
        time.sleep(_POLL)
    raise ChildFailed(f"{child.name}: no good answer in {limit:.0f} s, last: {last}")


def start_vendor(stack: ExitStack, cores: Sequence[int]) -> Running:
    """The mock vendor; ends with the stack."""
    arguments = ["-m", "bench.vendor", "--for", str(_LIFETIME)]
    child = stack.enter_context(Child("vendor", arguments, cores=cores))
    port = child.line(_READY_LIMIT)["port"]
    return Running("direct", f"http://127.0.0.1:{port}/v1", child.pid, child.pid)


Start = Callable[[ExitStack, Running, Sequence[int], Path], Running]


def start_baseline(stack: ExitStack, vendor: Running, cores: Sequence[int], _: Path) -> Running:
    """The bare aiohttp pass-through in front of the vendor."""
    upstream = vendor.url.removesuffix("/v1")
    arguments = ["-m", "bench.passthrough", "--upstream", upstream, "--for", str(_LIFETIME)]
    child = stack.enter_context(Child("baseline", arguments, cores=cores))
    url = f"http://127.0.0.1:{child.line(_READY_LIMIT)['port']}/v1"
    first_answer(url, child)
    return Running("baseline", url, child.pid, child.pid)


def start_proxy(stack: ExitStack, vendor: Running, cores: Sequence[int], folder: Path) -> Running:
    """The proxy in front of the vendor, its files in `folder`; no usage records."""
    return _start("proxy", "none", stack, vendor, cores, folder)


def start_recorded(
    stack: ExitStack, vendor: Running, cores: Sequence[int], folder: Path
) -> Running:
    """The same with a usage record for every request: what records cost is the difference."""
    return _start("recorded", "embedded", stack, vendor, cores, folder)


def _start(  # noqa: PLR0917 - The two above are its callers.
    name: str,
    store: str,
    stack: ExitStack,
    vendor: Running,
    cores: Sequence[int],
    folder: Path,
) -> Running:
    port = free_port()
    config = folder / f"{name}-{port}.yaml"
    config.write_text(_CONFIG.format(port=port, key=KEY, upstream=vendor.url, store=store))
    arguments = ["-m", "proxy.cli.main", "serve", "--config", str(config)]
    child = stack.enter_context(Child(name, arguments, cores=cores))
    url = f"http://127.0.0.1:{port}/v1"
    first_answer(url, child)
    worker = find_below(child.pid, "worker-0")
    if worker is None:
        raise ChildFailed(f"{name}: no process of it has worker-0 in its command line")
    return Running(name, url, worker, child.pid)
