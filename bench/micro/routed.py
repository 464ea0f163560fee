"""What routing costs a request: `python -m bench.micro.routed [--rounds N]`.

The two steps that route, `rules` and `plan`, on a request as it comes (1 kB), with twenty rules as
operators write them, of which the last takes it, and a model of three targets; beside it the same
steps where nothing is configured but that model. Times are the processor's; the median.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.micro.accounting import Request
from bench.requests import chat_body
from bench.table import table
from proxy.build.configuration import load
from proxy.build.runtime import build
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.runtime import Runtime
from proxy.middleware.plan import plan
from proxy.middleware.rules import rules
from proxy.usage.ledger import NoLedger
from proxy.wire.body import Body
from proxy.wire.operations import CHAT

_CALLER = Caller("ada", ModelPatterns.of(("*",)), team="research", tier="pro")
_BODY = chat_body(1, "auto", stream=False)
_PLAIN = chat_body(1, "three", stream=False)
_WHENS = (
    "{{model: ['model-{n}']}}",
    "{{model: [auto], task: ['task-{n}']}}",
    "{{model: [auto], agent: ['agent-{n}']}}",
    "{{user_tier: [enterprise], tags: ['tag-{n}']}}",
    "{{team: ['team-{n}'], model: ['claude-*', auto]}}",
    "{{model: [auto], content_tokens: {{min: {most}}}}}",
    "{{model: [auto], modality: [image]}}",
    "{{model: [auto], tools: true, task: ['tool-{n}']}}",
)
_CONFIG = """\
store: none
auth: none
providers: {{a: {{kind: demo}}, b: {{kind: demo}}, c: {{kind: demo}}}}
models:
  three:
    targets: [{{provider: a, model: m}}, {{provider: b, model: m}}, {{provider: c, model: m}}]
    strategy: {strategy}
{rules}
"""


def _runtime(folder: Path, count: int, strategy: str) -> Runtime:
    lines = []
    for n in range(count):
        when = (
            "{model: [auto]}"
            if n == count - 1
            else _WHENS[n % len(_WHENS)].format(n=n, most=60000 - n)
        )
        if n < count - 1 and n % len(_WHENS) == 6:
            when = when.replace("image]", f"image], agent: ['painter-{n}']")
        lines.append(f"  - {{name: rule {n}, when: {when}, use: three}}")
    written = "rules:\n" + "\n".join(lines) if lines else ""
    file = folder / f"{count}-{strategy}.yaml"
    file.write_text(_CONFIG.format(strategy=strategy, rules=written))
    return build(load(file), NoLedger()).runtime


async def _row(name: str, runtime: Runtime, raw: bytes, rounds: int) -> Sequence[str]:
    times = []
    for number in range(rounds + rounds // 10):
        x = Exchange(runtime, Request(f"req_{number}"), CHAT, "/chat/completions")
        x.body, x.caller = Body(raw), _CALLER
        x.model = x.body.text("model")
        begun = time.process_time()
        rules(x)
        plan(x)
        times.append((time.process_time() - begun) * 1e6)
        assert len(x.plan) == 3
    times = times[rounds // 10 :]
    return name, f"{min(times):,.1f}", f"{median(times):,.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5000)
    rounds = parser.parse_args().rounds
    rows: list[Sequence[str]] = [("µs per request", "best", "median")]
    with tempfile.TemporaryDirectory() as folder:
        for strategy in ("weighted", "round_robin", "least_busy", "latency"):
            for count, raw in ((0, _PLAIN), (20, _BODY)):
                runtime = _runtime(Path(folder), count, strategy)
                name = f"{count} rules, 3 targets, {strategy}"
                rows.append(asyncio.run(_row(name, runtime, raw, rounds)))
    print(table(rows))


if __name__ == "__main__":
    main()
