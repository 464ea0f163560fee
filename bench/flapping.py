"""What callers see of a vendor that fails three of ten requests: `python -m bench.flapping`.

One worker, two mock vendors. The first fails a share of its requests (500, reset, cut before any
content, in turn), the second stands behind it. The same open loop twice: without failures, then
with them. Goals: no caller sees an error, and the median rises by no more than one retry takes, for
which the median without failures stands: a retry is one more request.
"""

import argparse
import http.client
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.children import Child, ChildFailed
from bench.flapping_load import Heard, OpenLoop, requests
from bench.measure import cores, raise_file_limit
from bench.table import table
from bench.targets import KEY, first_answer, free_port
from proxy.base.jsonio import dumps, loads

_MODEL = "flapping"
_START_LIMIT = 20.0
_CONFIG = """\
listen: 127.0.0.1:{port}
store: none
admin: {{listen: "127.0.0.1:0"}}
telemetry: {{log: {{level: error, format: text}}}}
proxies: {{none: ["*"]}}
keys: [{{name: bench, key: {key}}}]
providers:
  first: {{kind: openai, base_url: "{first}", api_keys: [sk-vendor]}}
  second: {{kind: openai, base_url: "{second}", api_keys: [sk-vendor]}}
models:
  {model}:
    targets:
      - {{provider: first, model: bench-1}}
      - {{provider: second, model: bench-1, tier: 2}}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of the load. `failed`: of those that the first vendor was `asked`."""

    heard: Heard
    asked: int
    failed: int

    @property
    def errors(self) -> int:
        return sum(self.heard.wrong.values())


@dataclass(frozen=True, slots=True)
class Rise:
    """Of one time: median and 99th percentile in milliseconds, without failures and with them."""

    name: str
    before: tuple[float, float]
    after: tuple[float, float]

    @property
    def added(self) -> float:
        """To the median."""
        return self.after[0] - self.before[0]

    @property
    def good(self) -> bool:
        return self.added <= self.before[0]


def rises(calm: Run, flapping: Run) -> list[Rise]:
    """Raises ChildFailed where too little came back to say anything."""
    found = []
    for name in ("plain", "first_tokens"):
        before, after = getattr(calm.heard, name), getattr(flapping.heard, name)
        if min(len(before), len(after)) < 100:
            raise ChildFailed(f"too few answers to compare ({name})")
        found.append(Rise(name, _middle_and_end(before), _middle_and_end(after)))
    return found


def _middle_and_end(times: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times, n=100)
    return 1000 * cuts[49], 1000 * cuts[98]


class _World:
    """What is started; it ends with the stack."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._vendors = [self._vendor(stack, name) for name in ("first", "second")]
        self.port = free_port()
        first, second = (f"http://127.0.0.1:{port}/v1" for port in self._vendors)
        config = folder / "flapping.yaml"
        config.write_text(
            _CONFIG.format(port=self.port, key=KEY, model=_MODEL, first=first, second=second)
        )
        arguments = ["-m", "proxy.cli.main", "serve", "--config", str(config)]
        proxy = stack.enter_context(Child("proxy", arguments, cores=cores()))
        first_answer(f"http://127.0.0.1:{self.port}/v1", proxy, model=_MODEL)

    @staticmethod
    def _vendor(stack: ExitStack, name: str) -> int:
        child = stack.enter_context(Child(name, ["-m", "bench.flapping_vendor"], cores=cores()))
        return int(child.line(_START_LIMIT)["port"])

    def _ask_first(self, path: str) -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", self._vendors[0], timeout=5)
        try:
            connection.request("GET", path)
            answer = loads(connection.getresponse().read())
        finally:
            connection.close()
        return dict(answer)

    def run(self, rate: float, seconds: float, share: float) -> Run:
        """One pass, with this share of failures."""
        _ = self._ask_first(f"/fail/{share}")
        asks = requests(f"127.0.0.1:{self.port}", KEY, _MODEL)

        async def load() -> Heard:
            return await OpenLoop(self.port, asks).run(rate, seconds)

        heard = uvloop.run(load())
        counts = self._ask_first("/counts")
        return Run(heard, counts["asked"], counts["failed"])


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m bench.flapping", description=__doc__)
    options.add_argument("--rate", type=float, default=500.0, help="requests a second")
    options.add_argument("--seconds", type=float, default=20.0, help="of each of the two passes")
    options.add_argument("--fail", type=float, default=0.3, help="share that the first one fails")
    options.add_argument("--warm", type=float, default=2.0, help="seconds before them")
    options.add_argument("--json", type=Path, help="write the figures there")
    return options


def _tell(calm: Run, flapping: Run, found: list[Rise]) -> bool:
    rows = [["ms", "p50", "p99", "p50, failing", "p99, failing", "added p50", "one retry"]]
    for rise in found:
        numbers = [*rise.before, *rise.after, rise.added, rise.before[0]]
        rows.append([rise.name.replace("_", " "), *(f"{number:.2f}" for number in numbers)])
    print(table(rows))
    print(f"\nfirst vendor: asked {flapping.asked:,}, failed {flapping.failed:,}")
    print(f"callers: {flapping.heard.asked:,} asked, {flapping.errors} errors", end="")
    print(f" {dict(flapping.heard.wrong)}" if flapping.errors else "")
    good = not calm.errors and not flapping.errors and all(rise.good for rise in found)
    print("\n" + ("every goal reached" if good else "NOT GOOD"))
    return good


def _run(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="llm-proxy-flapping-") as name, ExitStack() as stack:
        try:
            world = _World(stack, Path(name))
            _ = world.run(given.rate, given.warm, 0.0)
            calm = world.run(given.rate, given.seconds, 0.0)
            flapping = world.run(given.rate, given.seconds, given.fail)
            found = rises(calm, flapping)
        except ChildFailed as failure:
            print(f"cannot run: {failure}", file=sys.stderr)
            return 2
    good = _tell(calm, flapping, found)
    if given.json is not None:
        said = {rise.name: {"before": rise.before, "after": rise.after} for rise in found}
        counts = {"errors": flapping.errors, "asked": flapping.asked, "failed": flapping.failed}
        given.json.write_bytes(dumps({**said, **counts}))
    return 0 if good else 1


def main(arguments: Sequence[str] | None = None) -> int:
    given = _options().parse_args(arguments)
    raise_file_limit()
    try:
        return _run(given)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
