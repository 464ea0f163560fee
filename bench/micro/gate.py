"""What limits and budgets cost a request, step by step: `python -m bench.micro.gate [--keys N]`.

The gate itself with the memory store: key, team, model and global, each with requests and tokens
per minute and a budget. Admission, the hold of one attempt, the header fields of its answer, and
the settlement, less the same steps with a gate that does nothing. Keys take turns, in fifty teams:
with one key all is in the processor's cache, with a thousand what belongs to a key is not.
"""

import argparse
import asyncio
from collections.abc import Iterator, Mapping
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
from proxy.core.outgoing import Timeouts
from proxy.core.quota import Calendar, QuotaStore, Rule, Scope, Sliding, Walls
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
_TEAMS = 50
_PER_ROUND = 5000
_STEPS = ("admit", "hold", "headers", "settle")
_BODY = chat_body(1, "gpt-4o", stream=False)
_USAGE = Usage(1200, 300)


def _walls(scope: Scope) -> Walls:
    minute = Sliding(60)
    rates = (
        Rule(scope, "rpm", "requests", _MOST, minute),
        Rule(scope, "tpm", "tokens", _MOST, minute),
    )
    return Walls(rates, (Rule(scope, "budget per month", "money", _MOST, Calendar("month")),))


def walled_gate(store: QuotaStore) -> LimitsGate:
    """A gate that counts in this store."""
    named = {Scope("team", f"t{n}"): _walls(Scope("team", f"t{n}")) for n in range(_TEAMS)}
    named[Scope("global", "")] = _walls(Scope("global", ""))
    book = Walled(named, {})
    own = {("vendor", "gpt-4o"): Price.of({"input": 2_500_000_000, "output": 10_000_000_000})}
    prices = PriceTable(in_force)
    pricer = Pricer(prices, {"vendor": Vendor("openai", "http://127.0.0.1")}, own)
    bundles = Bundles(store, book)
    return LimitsGate(bundles, bundles, Most(pricer), WaitingRoom(), GateOptions(joined=True))


def no_gate() -> Gate:
    """One that does nothing."""
    return _NoGate()


class _NoGate:
    """Does nothing."""

    def refuse_blocked(self, x: Exchange) -> None: ...

    def admit_now(self, x: Exchange) -> bool:
        return True

    async def admit(self, x: Exchange) -> None: ...

    def hold_now(self, x: Exchange, target: Target, attempt: Attempt) -> bool:
        return True

    async def hold(self, x: Exchange, target: Target, attempt: Attempt) -> None: ...

    def settle(self, x: Exchange) -> None: ...

    def forget(self) -> None: ...


class Requests:
    """Makes exchanges that stand before admission."""

    def __init__(self, keys: int) -> None:
        self.spent = dict.fromkeys(_STEPS, 0.0)
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
            for n in range(keys)
        ]
        self._body = Body(_BODY)
        self._ids = RequestIds()

    def one(self, caller: Caller) -> Exchange:
        x = Exchange(self._runtime, Request(self._ids.new()), CHAT, "/chat/completions")
        x.caller, x.body, x.model, x.route = caller, self._body, "gpt-4o", self._route
        return x

    async def through(self, gate: Gate, caller: Caller) -> None:
        """One request, from admission to its settlement."""
        spent, target = self.spent, self._target
        x, attempt = self.one(caller), Attempt(target)
        reply = Reply(200, [(b"content-type", b"application/json")], body=CHAT_BODY)
        begun = monotonic()
        if not gate.admit_now(x):
            await gate.admit(x)
        admitted = monotonic()
        if not gate.hold_now(x, target, attempt):
            await gate.hold(x, target, attempt)
        held = monotonic()
        x.attempts.append(attempt)
        x.announce(reply)
        told = monotonic()
        attempt.usage, attempt.cost, x.finished = _USAGE, 1_234_567, True
        gate.settle(x)
        spent["settle"] += monotonic() - told
        spent["headers"] += told - held
        spent["hold"] += held - admitted
        spent["admit"] += admitted - begun
        x.settle()


async def _figures(rounds: int, keys: int) -> Mapping[str, list[float]]:
    """Microseconds that each step takes more with a gate than without, in each round."""
    requests = Requests(keys)
    figures: dict[str, list[float]] = {name: [] for name in (*_STEPS, "all")}
    gates: tuple[Gate, Gate] = walled_gate(MemoryQuotas()), _NoGate()
    ring = cycle(requests.callers)
    for _ in range(rounds):
        with_walls, without = [await _round(requests, gate, ring) for gate in gates]
        for step in _STEPS:
            figures[step].append(with_walls[step] - without[step])
        figures["all"].append(sum(with_walls.values()) - sum(without.values()))
    return figures


async def _round(requests: Requests, gate: Gate, ring: Iterator[Caller]) -> dict[str, float]:
    requests.spent = dict.fromkeys(_STEPS, 0.0)
    for caller in islice(ring, _PER_ROUND):
        await requests.through(gate, caller)
    return {step: spent / _PER_ROUND * 1e6 for step, spent in requests.spent.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--keys", type=int, default=1000)
    given = parser.parse_args()
    figures = asyncio.run(_figures(given.rounds, given.keys))
    rows = [("µs per request", "best", "median")]
    rows += ((name, f"{min(each):.2f}", f"{median(each):.2f}") for name, each in figures.items())
    print(table(rows))


if __name__ == "__main__":
    main()
