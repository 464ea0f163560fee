"""What limits and budgets cost a request as a whole: `python -m bench.micro.gate [--rounds N]`.

The gate itself with the memory store: key, team, model and global, each with requests and tokens
per minute and a budget. Admission, the hold of one attempt, the header fields of its answer, and
the settlement, less the same steps with a gate that does nothing. A thousand keys in fifty teams.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import cycle, islice
from statistics import median

from bench.answers import CHAT_BODY
from bench.micro.accounting import NoModels, Request
from bench.requests import chat_body
from bench.table import table
from proxy.base.clock import monotonic
from proxy.base.ids import RequestIds
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.gate import Gate
from proxy.core.ports import Timeouts
from proxy.core.quota import Calendar, Rule, Scope, Sliding, Walls
from proxy.core.reply import Reply
from proxy.core.runtime import Runtime
from proxy.core.target import Provider, Route, Target
from proxy.demo.transport import DemoTransport
from proxy.limits.bundles import Bundles
from proxy.limits.gate import GateOptions, LimitsGate
from proxy.limits.rulebook import Walled
from proxy.limits.waiting import WaitingRoom
from proxy.stores.memory.store import MemoryQuotas
from proxy.usage.ledger import NoLedger
from proxy.usage.most import Most
from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import Price
from proxy.usage.prices.table import PriceTable
from proxy.wire.body import Body
from proxy.wire.operations import CHAT
from proxy.wire.record import Usage

_MOST = 10**15
_KEYS = 1000
_TEAMS = 50
_PER_ROUND = 5000
_BODY = chat_body(1, "gpt-4o", stream=False)
_USAGE = Usage(1200, 300)


def _walls(scope: Scope) -> Walls:
    minute = Sliding(60)
    rates = (
        Rule(scope, "rpm", "requests", _MOST, minute),
        Rule(scope, "tpm", "tokens", _MOST, minute),
    )
    return Walls(rates, (Rule(scope, "budget per month", "money", _MOST, Calendar("month")),))


def _gate() -> LimitsGate:
    named = {Scope("team", f"t{n}"): _walls(Scope("team", f"t{n}")) for n in range(_TEAMS)}
    named[Scope("global", "")] = _walls(Scope("global", ""))
    store, book = MemoryQuotas(), Walled(named, {})
    own = {("vendor", "gpt-4o"): Price.of({"input": 2_500_000_000, "output": 10_000_000_000})}
    prices = PriceTable(in_force)
    pricer = Pricer(prices, {"vendor": Vendor("openai", "http://127.0.0.1")}, own)
    bundles = Bundles(store, book)
    return LimitsGate(bundles, bundles, Most(pricer), WaitingRoom(), GateOptions())


class _NoGate:
    """Does nothing."""

    async def admit(self, x: Exchange) -> None: ...

    async def hold(self, x: Exchange, target: Target, attempt: Attempt) -> None: ...

    def settle(self, x: Exchange) -> None: ...

    def forget(self) -> None: ...


class _Requests:
    """Makes exchanges that stand before admission."""

    def __init__(self) -> None:
        self._target = Target(Provider("vendor", DemoTransport(), Timeouts(), {}), "gpt-4o")
        self._route = Route("gpt-4o", (self._target,), walls=_walls(Scope("model", "gpt-4o")))
        self._runtime = Runtime(
            version="v",
            middlewares=(),
            catalogue=NoModels(),
            callers=None,
            passthrough=None,
            providers={},
            ledger=NoLedger(),
            max_body=1_000_000,
        )
        everything = ModelPatterns.of(("*",))
        self.callers = [
            Caller(f"k{n}", everything, team=f"t{n % _TEAMS}", walls=_walls(Scope("key", f"k{n}")))
            for n in range(_KEYS)
        ]
        self._body = Body(_BODY)
        self._ids = RequestIds()

    def one(self, caller: Caller) -> Exchange:
        x = Exchange(self._runtime, Request(self._ids.new()), CHAT, "/chat/completions")
        x.caller, x.body, x.model, x.route = caller, self._body, "gpt-4o", self._route
        return x

    async def through(self, gate: Gate, caller: Caller) -> None:
        x = self.one(caller)
        await gate.admit(x)
        attempt = Attempt(self._target)
        await gate.hold(x, self._target, attempt)
        x.attempts.append(attempt)
        x.announce(Reply(200, [(b"content-type", b"application/json")], body=CHAT_BODY))
        attempt.usage, attempt.cost, x.finished = _USAGE, 1_234_567, True
        gate.settle(x)
        x.settle()


async def _figures(rounds: int) -> Mapping[str, list[float]]:
    requests = _Requests()
    gates: dict[str, Gate] = {"with": _gate(), "without": _NoGate()}
    figures: dict[str, list[float]] = {name: [] for name in gates}
    ring = cycle(requests.callers)
    for _ in range(rounds):
        for name, gate in gates.items():
            turn = list(islice(ring, _PER_ROUND))
            figures[name].append(await _timed(requests.through, gate, turn))
    return figures


async def _timed(
    through: Callable[[Gate, Caller], Awaitable[None]], gate: Gate, turn: list[Caller]
) -> float:
    begun = monotonic()
    for caller in turn:
        await through(gate, caller)
    return (monotonic() - begun) / len(turn) * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    figures = asyncio.run(_figures(parser.parse_args().rounds))
    rows = [("µs per request", "best", "median")]
    best = {name: min(values) for name, values in figures.items()}
    usual = {name: median(values) for name, values in figures.items()}
    rows += ((name, f"{best[name]:.2f}", f"{usual[name]:.2f}") for name in figures)
    cost = f"{best['with'] - best['without']:.2f}", f"{usual['with'] - usual['without']:.2f}"
    rows.append(("limits and budgets", *cost))
    print(table(rows))


if __name__ == "__main__":
    main()
