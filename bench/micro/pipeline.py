"""What each step of the pipeline costs a request: `python -m bench.micro.pipeline [--rounds N]`.

The steps of core/order.py as they are built, one after the other on the same exchanges, with all
on: keys, limits and budgets around key, team, model and all together, prices, spans, a record in a
spool. A usual request, 1 kB, to a model with one target. Then what follows within one attempt: the
hold, the vendor's request and its head. Then the end: record and settlement. Processor time.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.micro.accounting import Request
from bench.micro.gate import walled_gate
from bench.requests import chat_body
from bench.table import table
from proxy.base.ids import RequestIds
from proxy.build.configuration import load
from proxy.build.runtime import build
from proxy.core.dispatch import Tries
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.runtime import Runtime
from proxy.core.steps import Later, Step
from proxy.stores.memory.store import MemoryQuotas
from proxy.upstream.origin import Origin
from proxy.upstream.requests import HeadWriter
from proxy.usage.ledger import SpoolLedger
from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import Price
from proxy.usage.prices.table import PriceTable
from proxy.usage.recording import Identity
from proxy.usage.spool import Spool, SpoolOptions
from proxy.wire.operations import CHAT

_BATCH = 500
_BODY = chat_body(1, "gpt-4o", stream=False)
_WALLS = (
    "limits: {rpm: 1000000000, tpm: 1000000000000}, budgets: [{amount: 1000000, period: month}]"
)
_CONFIG = f"""\
store: none
auth: required
providers: {{vendor: {{kind: openai, base_url: "http://127.0.0.1:9/v1", api_keys: [sk-vendor]}}}}
models: {{gpt-4o: {{targets: [{{provider: vendor, model: gpt-4o}}], {_WALLS}}}}}
keys: [{{name: bench, key: sk-bench, team: t1, models: ["*"], {_WALLS}}}]
teams: {{t1: {{{_WALLS}}}}}
telemetry: {{otlp: {{endpoint: "http://127.0.0.1:9"}}}}
"""


def runtime(folder: Path) -> tuple[Runtime, Spool]:
    """All on, with files in `folder`."""
    file = folder / "config.yaml"
    file.write_text(_CONFIG)
    own = {("vendor", "gpt-4o"): Price.of({"input": 2_500_000_000, "output": 10_000_000_000})}
    prices = PriceTable(in_force)
    pricer = Pricer(prices, {"vendor": Vendor("openai", "http://127.0.0.1")}, own)
    spool = Spool(folder / "spool", "worker-0", SpoolOptions())
    spool.open()
    ledger = SpoolLedger(spool, pricer, Identity("worker-0"), refuse_when_failing=True)
    return build(load(file), ledger, gate=walled_gate(MemoryQuotas())).runtime, spool


def _steps(made: Runtime) -> list[tuple[str, Step]]:
    steps: list[tuple[str, Step]] = [(step.__name__, step) for step in made.middlewares]
    heads = HeadWriter(Origin("http", "127.0.0.1", 9), None)

    async def hold(x: Exchange) -> Reply | None:
        x.tries = tries = Tries(x)
        await tries.hold(tries.attempt(x.plan[0]))
        return None

    def request(x: Exchange) -> None:
        target = x.plan[0]
        outgoing = target.provider.adapter(x.operation).request(x, target)
        _ = heads.head(outgoing)

    def settle(x: Exchange) -> None:
        x.settle()

    return [*steps, ("hold", Later(hold)), ("request and its head", request), ("settle", settle)]


async def measure(folder: Path, rounds: int) -> list[Sequence[str]]:
    """A row for each step."""
    made, spool = runtime(folder)
    ids, steps = RequestIds(), _steps(made)
    took: dict[str, list[float]] = {name: [] for name, _ in steps}
    for _ in range(rounds):
        batch = [
            Exchange(made, Request(ids.new()), CHAT, "/chat/completions") for _ in range(_BATCH)
        ]
        for name, step in steps:
            began = time.process_time_ns()
            for x in batch:
                said = step(x)
                if isinstance(said, Later):
                    await said.rest(x)
            took[name].append((time.process_time_ns() - began) / _BATCH / 1000)
    spool.close()
    rows: list[Sequence[str]] = [("us per request", "best", "median")]
    rows += [(name, f"{min(each):.2f}", f"{median(each):.2f}") for name, each in took.items()]
    sums = [sum(each) for each in zip(*took.values(), strict=True)]
    rows.append(("all", f"{min(sums):.2f}", f"{median(sums):.2f}"))
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(table(asyncio.run(measure(Path(folder), given.rounds))))


if __name__ == "__main__":
    main()
