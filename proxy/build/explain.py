"""One request, decided and not sent: the steps of a request on a runtime of its own.

What a worker would do is done by the same code: its middlewares in their order, its planner, and
what stands before an attempt (`Tries.hold`: parameters, the cut to fit, budgets), once for each
target of the plan. So what is told cannot differ from what is done. Only what it meets is its own:
a caller known by name, counters in which nothing was used yet, no ledger, no socket. Targets are as
well as `standings` says, all of them where it says nothing.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.base.clock import monotonic
from proxy.base.errors import NotFound, ProxyError
from proxy.base.ids import RequestIds
from proxy.base.secret import fingerprint
from proxy.build.accounting import price_table, pricer
from proxy.build.callers import caller
from proxy.build.explain_told import Told, told
from proxy.build.gate import Stores, gate
from proxy.build.order import BUILT
from proxy.build.runtime import build
from proxy.build.walls import rulebook
from proxy.config.settings import Settings
from proxy.config.snapshot import Snapshot
from proxy.core.caller import Caller
from proxy.core.dispatch import Tries
from proxy.core.exchange import Exchange
from proxy.core.steps import take
from proxy.limits.bundles import Bundles
from proxy.routing.asked import RequestPlanner
from proxy.routing.explain import PlanTold, explain_plan
from proxy.routing.health import Mode, Name
from proxy.routing.healths import Healths, Shared, Switches
from proxy.stores.memory.store import MemoryQuotas
from proxy.usage.ledger import NoLedger
from proxy.usage.most import Most
from proxy.wire import operations
from proxy.wire.recalled import Recalled

CHAT_PATH = "/v1/chat/completions"
_KEY = "explained"  # Opens nothing: callers of this runtime are known by it and by nothing else.
_OURS = frozenset(("authorization", "x-api-key", "api-key", "content-type", "content-length"))
_SOON = 1.0  # Seconds, of what is left alone for nobody says how long.
_NAMES = {function: name for name, function in BUILT.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be explained. `fields`: header fields that the caller would send."""

    body: bytes
    path: str = CHAT_PATH
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Paper:
    """The port `Incoming`: a request that nobody sent."""

    path: str
    raw_headers: tuple[tuple[bytes, bytes], ...]
    headers: Mapping[str, str]
    body: bytes
    id: str = field(default_factory=lambda: RequestIds().new())
    method: str = "POST"
    query: str = ""
    peer: str | None = None
    length: int | None = 0
    recalled: Recalled | None = None

    def take(self, _limit: int) -> bytes:
        return self.body

    async def read(self, _limit: int) -> bytes:
        return self.body

    async def chunks(self, _limit: int) -> AsyncIterator[bytes]:
        yield self.body


class Explainer:
    """Of one configuration; several requests may be explained, one after the other."""

    def __init__(
        self, settings: Settings, standings: Iterable[Iterable[Mapping[str, Any]]] = ()
    ) -> None:
        """`standings`: of each worker, how its targets are, as build/health.py writes it. Raises
        as `build` does."""
        self._settings = settings
        self._prices = Most(pricer(settings, price_table(settings)))
        self._built = build(Snapshot.of(settings), NoLedger(), prices=self._prices)
        self._built.healths.adopt()
        _hear(self._built.healths, (each for worker in standings for each in worker))

    def close(self) -> None:
        """Let go of what was built."""
        self._built.close()

    async def explain(self, asked: Asked, who: Caller | None) -> dict[str, Any]:
        """What would become of it, as JSON has it (docs/explain.md). `who`: None where nobody has
        to say. Raises NotFound for a path that names no operation with a model."""
        found = operations.find("POST", asked.path)
        if found is None or not found[0].has_model:
            raise NotFound(
                f"`{asked.path[:200]}` is no operation that names a model; try {CHAT_PATH}",
                param="path",
            )
        settings = self._settings
        quotas = MemoryQuotas()
        runtime = replace(
            self._built.runtime,
            callers=None if who is None else {fingerprint(_KEY): replace(who, networks=())},
            directory=None,
            gate=gate(settings, Stores(quotas, MemoryQuotas()), self._prices),
        )
        x = Exchange(runtime, _paper(asked), *found)
        try:
            return told(await self._decided(x))
        finally:
            x.settle()

    async def _decided(self, x: Exchange) -> Told:
        steps, refusal = await _admitted(x)
        plan: PlanTold | None = None
        planner = x.runtime.planner
        reached = steps["plan"] is not None
        if x.route is not None and isinstance(planner, RequestPlanner) and reached:
            plan = explain_plan(planner, x, x.route, monotonic())
        bundles = None
        if x.runtime.gate is not None:
            bundles = Bundles(MemoryQuotas(), rulebook(self._settings))
        made = Told(x, steps, refusal, plan, bundles)
        if plan is not None and refusal is None:
            x.plan = tuple(each.target for each in plan.targets)
            await _hold(x, made)
        return made


def configured_caller(settings: Settings, name: str) -> Caller | None:
    """The caller with that key of the configuration, if it has one."""
    for key in settings.keys:
        if key.name == name:
            return caller(key)
    return None


async def _admitted(x: Exchange) -> tuple[dict[str, str | None], ProxyError | None]:
    """What each step said, None where it was not reached; and the refusal, if there was one."""
    steps = dict[str, str | None].fromkeys(_NAMES[step] for step in x.runtime.middlewares)
    for step in x.runtime.middlewares:
        try:
            reply = await take(step, x)
        except ProxyError as error:
            steps[_NAMES[step]] = "refuses"
            return steps, error
        steps[_NAMES[step]] = "passes" if reply is None else "answers"
    return steps, None


async def _hold(x: Exchange, made: Told) -> None:
    """What stands before an attempt at each target, as if all before it had failed."""
    x.tries = tries = Tries(x)
    for target in x.plan:
        attempt = tries.attempt(target)
        try:
            await tries.hold(attempt)
        except ProxyError as error:
            made.refused(target, error)
            continue
        made.held(target, attempt.hold)
        if attempt.hold is not None:
            attempt.hold.cancel()


def _paper(asked: Asked) -> _Paper:
    given = [(name, value) for name, value in asked.fields if name.lower() not in _OURS]
    fields = [("content-type", "application/json"), ("authorization", f"Bearer {_KEY}"), *given]
    return _Paper(
        asked.path,
        tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in fields),
        {name.lower(): value for name, value in fields},
        asked.body,
        length=len(asked.body),
    )


def _hear(healths: Healths, told: Iterable[Mapping[str, Any]]) -> None:
    """Take the workers' word for how their targets are: the worst of it."""
    known = {each.name: each for each in healths.known()}
    targets: dict[Name, Mode] = {}
    providers: dict[str, str] = {}
    shared: dict[Name, Shared] = {}
    for each in told:
        name = Name(each["route"], each["provider"], each["model"])
        health = known.get(name)
        if health is None:
            continue
        if each["latency"] is not None:
            began = health.begin()
            health.first_token(each["latency"], began)
            health.end(None, began)
        left = each.get("left") or _SOON
        match each["status"], each["mode"]:
            case "off", "open":
                targets[name] = "open"
            case "off", _:
                providers[name.provider] = str(each["why"])
            case "open", _:
                shared[name] = Shared(left, str(each["fault"] or "as its worker says"))
            case "resting", _:
                health.rest(left)
            case _:
                continue
    healths.hear(shared)
    healths.switch(Switches(targets, providers))
