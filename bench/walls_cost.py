"""What walls cost a worker: CPU per request without any, with memory and with Redis, in one run.

Three proxies run side by side on one core, each measured in turn by the same load at concurrency
64, so that a slow minute slows all of them. The walls are those of a key, its team, the model and
everybody, each with limits on requests and tokens and a hard budget. All three write usage records:
what a request used and cost is found out by all of them, and the difference is that of walls alone.
"""

import statistics
from contextlib import ExitStack
from pathlib import Path

from bench.children import Child, ChildFailed
from bench.measure import cores, find_below, pin
from bench.scenarios import Bench, chat
from bench.targets import KEY, Running, first_answer, free_port, start_vendor
from bench.walls_redis import start as start_redis

GOALS = {"memory": 8.0, "redis": 20.0}
_ROUNDS = 3

_CONFIG = """\
listen: 127.0.0.1:{port}
workers: 1
auth: required
data_dir: {data}
store: embedded
redis: {redis}
keys:
  - {{name: bench, key: {key}, team: many, models: ["*"]{walls}}}
providers:
  vendor: {{kind: openai, base_url: "{vendor}", api_keys: [sk-vendor]}}
proxies: {{none: ["*"]}}
admin: {{listen: "127.0.0.1:0"}}
telemetry: {{log: {{level: warning}}}}
models:
  "*":
    targets: [{{provider: vendor, model: "*"}}]
    price: {{input: 0.5, output: 2}}
{more}
"""
_WALLS = (
    "limits: {rpm: 1000000000, tpm: 1000000000000}, budgets: [{amount: 1000000, period: month}]"
)


def measure(stack: ExitStack, folder: Path, seconds: float) -> bool:
    """Print the figures; whether the goals are reached. Raises ChildFailed."""
    under_test, beside = [cores()[0]], [cores()[-1]]
    pin(0, beside)
    vendor = start_vendor(stack, beside)
    redis = f"redis://127.0.0.1:{start_redis(stack, folder)}"
    servers = {
        "none": _start(stack, folder, "none", _text("none", vendor, folder, None)),
        "memory": _start(stack, folder, "memory", _text("memory", vendor, folder, None)),
        "redis": _start(stack, folder, "redis", _text("redis", vendor, folder, redis)),
    }
    for server in servers.values():
        pin(server.pid, under_test)
    bench = Bench(beside, seconds, vendor)
    found: dict[str, list[float]] = {name: [] for name in servers}
    wrong = 0.0
    for number in range(_ROUNDS):
        for name, server in servers.items():
            numbers = chat(bench, server)
            found[name].append(numbers["cpu_us"])
            wrong += numbers["wrong"]
            print(
                f"{number + 1}/{_ROUNDS} {name}: {numbers['cpu_us']:.1f} us, "
                f"{numbers['requests_per_second']:,.0f} a second, "
                f"others kept {numbers['others']:.2f} cores busy"
                + (f", {numbers['wrong']:.0f} answers wrong" if numbers["wrong"] else ""),
                flush=True,
            )
    return _tell(found, wrong)


def _tell(found: dict[str, list[float]], wrong: float) -> bool:
    middle = {name: statistics.median(values) for name, values in found.items()}
    print(f"\nCPU of the worker per request, medians of {_ROUNDS}")
    print(f"without walls  {middle['none']:6.1f} us")
    good = not wrong
    for name, goal in GOALS.items():
        more = middle[name] - middle["none"]
        each = [one - none for one, none in zip(found[name], found["none"], strict=True)]
        reached = more <= goal
        good = good and reached
        print(
            f"{name:13}  {middle[name]:6.1f} us, {more:5.1f} more ({min(each):.1f} to "
            f"{max(each):.1f}), goal {goal:g}: {'reached' if reached else 'missed'}"
        )
    if wrong:
        print(f"{wrong:.0f} answers were wrong: the figures say nothing")
    return good


def _text(name: str, vendor: Running, folder: Path, redis: str | None) -> str:
    walled = name != "none"
    return _CONFIG.format(
        port="{port}",
        data=folder / name,
        redis="null" if redis is None else f'"{redis}"',
        key=KEY,
        vendor=vendor.url,
        walls=f", {_WALLS}" if walled else "",
        more=f"    {_more()}\nteams: {{many: {{{_WALLS}}}}}\nglobal: {{{_WALLS}}}"
        if walled
        else "",
    )


def _more() -> str:
    return _WALLS.replace(", budgets", "\n    budgets")


def _start(stack: ExitStack, folder: Path, name: str, text: str) -> Running:
    port = free_port()
    config = folder / f"{name}.yaml"
    config.write_text(text.replace("{port}", str(port)))
    arguments = ["-m", "proxy.cli.main", "serve", "--config", str(config)]
    child = stack.enter_context(Child(name, arguments, cores=cores()))
    url = f"http://127.0.0.1:{port}/v1"
    first_answer(url, child)
    worker = find_below(child.pid, "worker-0")
    if worker is None:
        raise ChildFailed(f"{name}: no process of it has worker-0 in its command line")
    return Running(name, url, worker, worker)  # Of its tree some come and go: not watched.
