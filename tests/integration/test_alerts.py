"""From records in the books to a signed webhook: once per window, whoever restarts in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.alerts.outbox import SendPace
from proxy.alerts.watch import LookPace, Shipping
from proxy.base.clock import wall
from proxy.base.jsonio import dumps
from proxy.build.alerts import Alerting
from proxy.config.load import load
from proxy.config.settings import Settings
from proxy.control_plane import ControlPlane
from proxy.stores.postgres.usage import PostgresUsage
from proxy.wire.record import AttemptRecord, Cost, UsageRecord
from tests.fakes.postgres import postgres, postgres_server, query
from tests.fakes.tally import Tally
from tests.fakes.vendor import RST, STALL, Reply, Vendor
from tests.unit.alerts.alert_cases import DAY, SECRET, USD, verified
from tests.unit.usage_ship.spool_files import write_segment

__all__ = ["postgres", "postgres_server"]

PLAIN = "a-plain-secret-of-24-chars"
MIDNIGHT = int(wall()) // DAY * DAY  # Today: what ended long ago is forgotten.
LOOK = LookPace(look=0.02, rest=0.0)
SEND = SendPace(first=0.05, look=0.2, away=0.05, lease=0.3)
CONTROL = True
"""Control runs on asyncio's own loop."""


@pytest.fixture
async def hook() -> AsyncIterator[Vendor]:
    """The receiver: takes what it is sent, unless it is told otherwise."""
    async with Vendor() as running:
        running.always(Reply(status=204))
        yield running


class Books:
    """Records that reach the store, and the clock of those who look."""

    def __init__(self, dsn: str) -> None:
        self.now = MIDNIGHT + DAY / 2
        self._usage = PostgresUsage(dsn)
        self._shipped = 0

    async def spend(self, dollars: float, **names: Any) -> None:
        """A request that cost so much, now."""
        number = self._shipped + 1
        made = spent(number, self.now, dollars, **names)
        await self._usage.ship("spool/segment", number - 1, number, [made])
        self._shipped = number

    def shipping(self) -> Shipping:
        return Shipping(self._shipped, 0.0)

    async def close(self) -> None:
        await self._usage.close()


def spent(number: int, at: float, dollars: float, **names: Any) -> UsageRecord:
    cost = Cost(total=round(dollars * USD), input=round(dollars * USD))
    attempt = AttemptRecord("vendor", "gpt-4o", started=10, ended=20, status=200, cost=cost)
    return UsageRecord(
        **{
            "id": f"req_{number:032x}",
            "at": int(at * 1_000_000),
            "worker": "w",
            "config": "c",
            "operation": "chat",
            "outcome": "completed",
            "status": 200,
            "done": 30,
            "key": "k",
            "team": "search",
            "route": "gpt",
            "model": "gpt",
            "cost": cost.total,
            "attempts": (attempt,),
            **names,
        }
    )


@pytest.fixture
async def books(postgres: str) -> AsyncIterator[Books]:
    opened = Books(postgres)
    yield opened
    await opened.close()


def settings(postgres: str, *hooks: dict[str, str], **changes: object) -> Settings:
    day = {"amount": 10, "period": "day", "alerts": [50, 80]}
    written: dict[str, object] = {
        "store": postgres,
        "teams": {"search": {"budgets": [day]}},
        "alerts": hooks,
    }
    return Settings.model_validate(written | changes)


def to(vendor: Vendor, path: str = "/hook", secret: str = SECRET) -> dict[str, str]:
    return {"webhook": f"{vendor.origin}{path}", "secret": secret}


@contextlib.asynccontextmanager
async def alerting(
    where: str | Callable[[], str | None], books: Books, chosen: Settings
) -> AsyncIterator[Alerting]:
    """What control does, from one restart to the next."""
    address = where if callable(where) else lambda: where
    running = Alerting(address, books.shipping, lambda: books.now, LOOK, SEND)
    await running.apply(chosen)
    try:
        async with asyncio.timeout(10):
            yield running
    finally:
        await running.stop()


async def all_sent(postgres: str, count: int) -> None:
    async with asyncio.timeout(10):
        while True:
            rows = await query(postgres, "SELECT count(*), count(sent_at) FROM alert_deliveries")
            if rows == [(count, count)]:
                return
            await asyncio.sleep(0.05)


def moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def percents(hook: Vendor) -> list[tuple[str, object]]:
    """Id and percent of each request, in the order of their percents."""
    bodies = [(each.header("webhook-id") or "", verified(each)["data"]) for each in hook.requests]
    found = [(id_, data["percent"]) for id_, data in bodies if isinstance(data, dict)]
    return sorted(found, key=lambda each: str(each[1]))


async def test_it_is_sent_until_the_receiver_has_it(
    postgres: str, books: Books, hook: Vendor
) -> None:
    hook.say(status=500)
    hook.say(status=500)
    async with alerting(postgres, books, settings(postgres, to(hook))) as running:
        await books.spend(5.5)
        await hook.arrived.reach(3)
        await all_sent(postgres, 1)
        assert running.counts() == {"new": 1, "sent": 1, "failed": 2, "given_up": 0}
    bodies = {each.body for each in hook.requests}
    ids = {each.header("webhook-id") for each in hook.requests}
    assert (len(bodies), len(ids), hook.calls) == (1, 1, 3)
    assert verified(hook.requests[0])["data"] == {
        "scope": {"kind": "team", "name": "search"},
        "budget": {"amount": "10", "period": "day", "zone": "UTC", "hard": True},
        "percent": 50,
        "spent": "5.5",
        "window": {"start": moment(MIDNIGHT), "end": moment(MIDNIGHT + DAY)},
    }


async def test_a_restart_between_two_tries_loses_nothing(
    postgres: str, books: Books, hook: Vendor
) -> None:
    hook.say(before_head=[RST])
    hook.say(before_head=[STALL])
    chosen = settings(postgres, to(hook))
    async with alerting(postgres, books, chosen):
        await books.spend(5)
        await hook.arrived.reach(2)  # The second try is under way, and cut off.
    async with alerting(postgres, books, chosen):
        await hook.arrived.reach(3)
        await all_sent(postgres, 1)
    assert len({each.header("webhook-id") for each in hook.requests}) == 1
    assert percents(hook)[0][1] == 50


async def test_once_in_a_window_and_again_in_the_next(
    postgres: str, books: Books, hook: Vendor
) -> None:
    chosen = settings(postgres, to(hook))
    async with alerting(postgres, books, chosen):
        await books.spend(5)
        await all_sent(postgres, 1)
        await books.spend(3)
        await all_sent(postgres, 2)
    async with alerting(postgres, books, chosen):  # It knows nothing but what the store knows.
        await books.spend(4)
        books.now = MIDNIGHT + DAY + 5.0
        await books.spend(9)
        await all_sent(postgres, 4)
    assert [percent for _, percent in percents(hook)] == [50, 50, 80, 80]
    assert len(dict(percents(hook))) == 4


async def test_several_hosts_send_one_alert(postgres: str, books: Books, hook: Vendor) -> None:
    chosen = settings(postgres, to(hook))
    async with contextlib.AsyncExitStack() as stack:
        hosts = [
            await stack.enter_async_context(alerting(postgres, books, chosen)) for _ in range(4)
        ]
        await books.spend(8)
        await all_sent(postgres, 2)
        assert sum(host.counts()["new"] for host in hosts) == 2
    assert [percent for _, percent in percents(hook)] == [50, 80]


async def test_a_slow_receiver_holds_up_nobody(postgres: str, books: Books, hook: Vendor) -> None:
    async with Vendor() as slow:
        slow.always(Reply(before_head=[STALL]))
        chosen = settings(postgres, to(slow), to(hook, "/a?b=1", PLAIN))
        async with alerting(postgres, books, chosen):
            await books.spend(5)
            await slow.arrived.reach(1)
            await books.spend(3)
            await hook.arrived.reach(2)
    assert {each.target for each in hook.requests} == {"/a?b=1"}
    for request in hook.requests:
        verified(request, PLAIN.encode())


async def test_while_postgres_is_away_alerts_wait(
    postgres: str, books: Books, hook: Vendor
) -> None:
    where: list[str | None] = [None]
    asked = Tally()

    def address() -> str | None:
        asked.add()
        return where[0]

    async with alerting(address, books, settings(postgres, to(hook))):
        await books.spend(5)
        for away in (None, "postgresql://nobody@localhost:1/none"):
            where[0] = away
            await asked.reach(asked.value + 3)
        assert hook.calls == 0
        hook.say(status=500)
        where[0] = postgres
        await hook.arrived.reach(1)
        where[0] = None  # The failure cannot be noted now.
        await asked.reach(asked.value + 3)
        where[0] = postgres
        await all_sent(postgres, 1)
    assert len({each.header("webhook-id") for each in hook.requests}) == 1


async def test_each_of_a_star_and_any_kind_of_scope(
    postgres: str, books: Books, hook: Vendor
) -> None:
    month = {"amount": 10, "period": "month", "zone": "Asia/Kolkata", "alerts": [10]}
    walls = {"budgets": [month]}
    chosen = await asyncio.to_thread(  # The files of time zones are read.
        settings,
        postgres,
        to(hook),
        teams={"*": walls, "quiet": {}},
        customers={"*": walls},
        keys=[{"name": "k", "key": "sk-k", "model_limits": {"gp*": walls}, **walls}],
        models={"gpt": {"targets": [{"provider": "vendor", "model": "x"}], **walls}},
        providers={"vendor": {"kind": "demo", **walls}},
        **{"global": walls},
    )
    async with alerting(postgres, books, chosen):
        await books.spend(1, customer="c1")
        await books.spend(1, team="quiet", customer="c2")
        await all_sent(postgres, 8)
    scopes = [verified(each)["data"] for each in hook.requests]
    found = {tuple(each["scope"].values()) for each in scopes if isinstance(each, dict)}
    assert found == {
        ("team", "search"), ("customer", "c1"), ("customer", "c2"), ("key", "k"),
        ("key_model", "k/gp*"), ("model", "gpt"), ("provider", "vendor"), ("global", ""),
    }  # fmt: skip


async def test_a_reload_takes_and_drops_receivers(
    postgres: str, books: Books, hook: Vendor
) -> None:
    async with alerting(postgres, books, settings(postgres)) as running:
        await books.spend(5)
        await running.apply(settings(postgres, to(hook)))
        await all_sent(postgres, 1)
        await running.apply(settings(postgres))
        await books.spend(3)
        assert (running.counts()["sent"], running.waiting()) == (1, 0)
        await running.apply(settings(postgres, to(hook, "/other")))
        await all_sent(postgres, 2)
        assert running.counts()["sent"] == 2
    assert [each.target for each in hook.requests] == ["/hook", "/other"]


async def test_control_tells_what_came_by_the_spool(
    postgres: str, hook: Vendor, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    chosen: dict[str, object] = {
        "auth": "none",
        "listen": "127.0.0.1:0",
        "data_dir": str(tmp_path / "data"),
        "store": postgres,
        "admin": {"listen": "127.0.0.1:0"},
        "providers": {"vendor": {"kind": "demo"}},
        "models": {"gpt": {"targets": [{"provider": "vendor", "model": "x"}]}},
        "global": {"budgets": [{"amount": "0.5", "period": "total", "alerts": [100]}]},
        "alerts": [to(hook)],
    }
    file.write_bytes(dumps(chosen))
    write_segment(tmp_path / "data/spool", 1, [spent(1, wall(), 0.25), spent(2, wall(), 0.25)])
    plane = ControlPlane("test")
    await plane.apply(await asyncio.to_thread(load, file, env={}))
    try:
        async with asyncio.timeout(20):
            await hook.arrived.reach(1)
        assert plane._telemetry is not None
        await all_sent(postgres, 1)
        assert plane._ready()["alerts"] == "up"
        page = plane._telemetry.metrics.render().decode()
        assert 'llm_proxy_alerts_total{result="new"} 1' in page
    finally:
        await plane.stop()
    data = verified(hook.requests[0])["data"]
    assert isinstance(data, dict)
    assert (data["percent"], data["spent"], data["window"]["end"]) == (100, "0.5", None)
