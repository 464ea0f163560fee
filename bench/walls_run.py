"""One walls run from its start to its verdict; `walls.py` is the command around it.

Start everything, make the calls while workers are killed and the counters are watched, wait until
records are shipped and holds set right, make calls that must be refused, compare.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import walls_audit, walls_watch
from bench.children import ChildFailed
from bench.faults_load import Pace
from bench.faults_show import Progress
from bench.walls_asks import asks, demanded, too_dear
from bench.walls_audit import Evidence, Recorded, Verdict
from bench.walls_book import WallBook, WallLoad
from bench.walls_proxy import Kills, Service, places
from bench.walls_redis import Held, Reader, by_counter
from bench.walls_watch import Seen
from bench.walls_world import Budget, World, add_up, budgets, make
from proxy.base.clock import monotonic
from proxy.base.tasks import Tasks
from proxy.core.quota import Scope

_LOOK = 0.25
_QUIET_LOOKS = 3
_REFUSED = 100
_ANSWER_LIMIT = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is. `drain`: seconds that records and corrections may take."""

    pace: Pace
    workers: int = 4
    redis: bool = True
    kills: int = 10
    seed: int = 1
    drain: float = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run found. `charged`: holds of dead workers that no record can correct;
    `unexplained`: open holds though there is a record; `consumed`: counters that calls which were
    refused have changed; `admitted`: such calls that were not refused."""

    book: WallBook
    seen: Seen
    verdict: Verdict
    budgets: tuple[Budget, ...]
    killed: int
    charged: list[Held]
    unexplained: list[Held]
    corrected: int
    consumed: int
    admitted: int
    drained: bool
    times: dict[str, float]
    log: str

    @property
    def good(self) -> bool:
        """Whether every wall stood."""
        return (
            self.verdict.good
            and self.drained
            and not (
                self.seen.overruns
                or self.unexplained
                or self.consumed
                or self.admitted
                or self.book.negative
                or self.book.wrong
            )
        )


class _Run:
    def __init__(self, plan: Plan, service: Service) -> None:
        self._plan = plan
        self._service = service
        self._book = WallBook()
        self._seen = Seen()
        self._tasks = Tasks()
        self._progress = Progress(plan.pace.requests)
        self._behind: int | None = None
        self._calls = plan.pace.requests
        self._world: World = make(self._calls, plan.seed)
        self._host = f"127.0.0.1:{service.port}"
        self._budgets = budgets(self._world, self._demand(), plan.seed)

    def _demand(self) -> dict[Scope, int]:
        some = itertools.islice(asks(self._world, self._host, self._plan.seed), self._calls)
        return dict(add_up(demanded(self._world, ask) for ask in some))

    async def run(self) -> Outcome:
        plan, service = self._plan, self._service
        began = monotonic()
        service.vendor(self._calls, plan.seed)
        service.serve(self._world, self._budgets)
        await service.ready()
        started = monotonic()
        ordered = asks(self._world, self._host, plan.seed)
        load = WallLoad(service.port, ordered, plan.pace, self._book)
        kills = Kills(service, load, places(self._calls, plan.kills, plan.seed), plan.seed)
        async with self._watched(kills):
            await _together(load, kills)
            loaded = monotonic()
            drained, recorded, held = await self._settled()
            before = await self._counters()
            admitted = await self._refused()
            after = await self._counters()
        verdict = await self._judge(after, held, recorded)
        unexplained = [hold for hold in held if hold.id.partition("/")[0] in recorded.ids]
        return Outcome(
            book=self._book,
            seen=self._seen,
            verdict=verdict,
            budgets=self._budgets,
            killed=kills.done,
            charged=[hold for hold in held if hold not in unexplained],
            unexplained=unexplained,
            corrected=await self._corrected(),
            consumed=sum(before[key] != after[key] for key in before),
            admitted=admitted,
            drained=drained,
            times={
                "start": started - began,
                "calls": loaded - started,
                "settling": monotonic() - loaded,
            },
            log=service.complaints(),
        )

    @contextlib.asynccontextmanager
    async def _watched(self, kills: Kills) -> AsyncIterator[None]:
        _ = self._tasks.spawn(self._tell(kills), name="tell")
        if self._service.redis is not None:
            watching = walls_watch.watch(self._service.redis, self._budgets, self._seen)
            _ = self._tasks.spawn(watching, name="watch")
        try:
            yield
        finally:
            await self._tasks.cancel()
            self._progress.end()

    async def _tell(self, kills: Kills) -> None:
        while True:
            counted = f"{kills.done}/{self._plan.kills}"
            self._progress.show(self._book.finished, counted, self._behind)
            await asyncio.sleep(_LOOK)

    async def _settled(self) -> tuple[bool, Recorded, list[Held]]:
        """Wait until all records are in the store, and no open hold has one."""
        until = monotonic() + self._plan.drain
        quiet, drained = 0, False
        recorded, held = await self._recorded(), await self._held()
        while not drained and monotonic() < until:
            await asyncio.sleep(_LOOK)
            shipping = await self._service.shipping()
            self._behind = shipping.behind_records if shipping is not None else None
            rows = len(recorded.ids)
            if shipping is None or not shipping.store_up or shipping.behind_bytes:
                quiet = 0
                continue
            recorded, held = await self._recorded(), await self._held()
            settled = not any(hold.id.partition("/")[0] in recorded.ids for hold in held)
            quiet = quiet + 1 if settled and len(recorded.ids) == rows else 0
            drained = quiet >= _QUIET_LOOKS
        return drained, recorded, held

    async def _recorded(self) -> Recorded:
        return await walls_audit.spent_by_records(await self._service.database())

    async def _held(self) -> list[Held]:
        if self._service.redis is None:
            return []
        reader = await Reader.connect(self._service.redis)
        try:
            return await reader.held()
        finally:
            reader.close()

    async def _corrected(self) -> int:
        if self._service.redis is None:
            return 0
        reader = await Reader.connect(self._service.redis)
        try:
            return await reader.corrected()
        finally:
            reader.close()

    async def _counters(self) -> dict[str, int]:
        if self._service.redis is None:
            return {}
        keys = [budget.key for budget in self._budgets]
        reader = await Reader.connect(self._service.redis)
        try:
            return dict(zip(keys, await reader.counters(keys), strict=True))
        finally:
            reader.close()

    async def _refused(self) -> int:
        """Calls of every caller that its key's budget alone cannot pay. Returns how many were not
        refused."""
        admitted = 0
        dearest = {
            budget.scope.name: budget.amount
            for budget in self._budgets
            if budget.scope.kind == "key"
        }
        model, providers = next(iter(self._world.models.items()))
        rates = self._world.rates[f"{model}-{providers[0]}"]
        callers = [caller for caller in self._world.callers if caller.name in dearest]
        for number in range(_REFUSED):
            caller = callers[number % len(callers)]
            tokens = min(dearest[caller.name] * 10**6 // rates.output + 10**6, 10**7)
            asked = too_dear(self._world, self._host, caller, tokens)
            admitted += b" 429 " not in await _answer(self._service.port, asked)
        return admitted

    async def _judge(
        self, counters: dict[str, int], held: list[Held], recorded: Recorded
    ) -> Verdict:
        books = await self._service.vendors_books()
        evidence = Evidence(
            self._budgets,
            counters if self._service.redis is not None else None,
            by_counter(held),
            recorded.spent,
            books["owed"],
        )
        return walls_audit.judge(evidence)


async def _answer(port: int, data: bytes) -> bytes:
    """The first line of the answer."""
    async with asyncio.timeout(_ANSWER_LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            return await reader.readline()
        finally:
            writer.close()


async def _together(load: WallLoad, kills: Kills) -> None:
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(load.run())
            both.create_task(kills.run())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def run(plan: Plan, stack: ExitStack, folder: Path) -> Outcome:
    """Run it; what it starts ends with the stack. Raises ChildFailed."""
    service = Service(stack, folder, plan.workers, redis=plan.redis)
    try:
        return await _Run(plan, service).run()
    except ChildFailed as failure:
        raise ChildFailed(f"{failure}\nThe proxy {service.complaints()}") from failure
