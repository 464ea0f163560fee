"""The AlertStore on a real PostgreSQL: sums, documents, one alert for all hosts, leases."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proxy.base.clock import wall
from proxy.base.jsonio import dumps
from proxy.base.periods import ALL_TIME, Span
from proxy.core.accounting import StoreAway
from proxy.core.alerts import Alert, Question
from proxy.core.quota import Scope
from proxy.stores.postgres.alerts import PostgresAlerts
from proxy.stores.postgres.usage import PostgresUsage
from proxy.wire.record import UsageRecord
from tests.fakes.postgres import query
from tests.unit.alerts.alert_cases import DAY, MIDNIGHT
from tests.unit.stores.records import HOUR, record, records

TODAY = Span(MIDNIGHT, MIDNIGHT + DAY)
TEAM = Scope("team", "t")
ALERT = Alert("alert_1", TEAM, "budget per day", TODAY, 50, b'{"a": 1}')


def at(dsn: str) -> PostgresAlerts:
    return PostgresAlerts(lambda: dsn)


async def ship(dsn: str, *shipped: UsageRecord) -> None:
    usage = PostgresUsage(dsn)
    await usage.ship("s/1", 0, 100, shipped)
    await usage.close()


async def test_without_a_store_there_is_no_answer() -> None:
    with pytest.raises(StoreAway):
        await PostgresAlerts(lambda: None).claim("r", 1, 1.0)


async def test_sums_by_name_and_window(postgres: str) -> None:
    many = records(12)
    tomorrow = replace_at(12, 24 * HOUR)
    await ship(postgres, *many, tomorrow)
    by_team: dict[str, int] = {}
    for each in many:
        by_team[each.team or ""] = by_team.get(each.team or "", 0) + (each.cost or 0)
    whole = sum(by_team.values())
    dear = max(by_team.values())
    answers = await at(postgres).spent(
        [
            Question("team", TODAY, 1, None),
            Question("team", TODAY, 1, ("team-1", "nobody")),
            Question("team", TODAY, dear, None),
            Question("global", TODAY, 1, ("",)),
            Question("global", ALL_TIME, 1, ("",)),
            Question("provider", TODAY, 1, ("openai",)),
            Question("model", Span(MIDNIGHT - DAY, MIDNIGHT), 1, None),
        ]
    )
    assert answers == [
        by_team,
        {"team-1": by_team["team-1"]},
        {name: amount for name, amount in by_team.items() if amount == dear},
        {"": whole},
        {"": whole + (tomorrow.cost or 0)},
        {"openai": whole},
        {},
    ]
    by_model = await at(postgres).spent_by_model("key-1", TODAY)
    assert by_model == {"gpt-4o": sum(each.cost or 0 for each in many if each.key == "key-1")}


def replace_at(number: int, later: int) -> UsageRecord:
    return record(number, at=record(number).at + later)


async def test_one_of_many_hosts_keeps_an_alert(postgres: str) -> None:
    alerts = [replace(ALERT, percent=percent) for percent in (50, 80)]

    async def keep(host: int) -> int:
        own = [replace(each, id=f"alert_{host}_{each.percent}") for each in alerts]
        return await at(postgres).keep(own if host % 2 else own[::-1], ["r1", "r2"])

    kept = await asyncio.gather(*map(keep, range(8)))
    assert sum(kept) == 2
    assert len(await query(postgres, "SELECT FROM alert_deliveries")) == 4
    later = replace(ALERT, id="alert_x", window=Span(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY))
    assert await at(postgres).keep([later, replace(later, id="y", window=ALL_TIME)], ["r1"]) == 2


async def test_a_delivery_is_one_hosts_until_its_lease_ends(postgres: str) -> None:
    store = at(postgres)
    await store.keep([ALERT], ["r1", "r2"])
    claims = await asyncio.gather(*(store.claim("r1", 8, 30.0) for _ in range(4)))
    [mine] = [each for claim in claims for each in claim.deliveries]
    assert (mine.id, mine.body, mine.attempts) == ("alert_1", b'{"a": 1}', 1)
    assert 0 <= mine.age < 30
    [claim] = [each for each in claims if each.deliveries]
    assert claim.waiting == 1
    assert claim.pause is not None
    assert 20 < claim.pause <= 30
    await query(postgres, "UPDATE alert_deliveries SET next_try = now() WHERE receiver = 'r1'")
    [again] = (await store.claim("r1", 8, 30.0)).deliveries
    assert again.attempts == 2
    assert (await store.claim("r1", 8, 30.0)).deliveries == ()
    assert len((await store.claim("r2", 8, 30.0)).deliveries) == 1


async def test_how_it_ends(postgres: str) -> None:
    store = at(postgres)
    await store.keep([ALERT], ["r1", "r2"])
    await store.claim("r1", 8, 30.0)
    await store.failed("alert_1", "r1", "no\0 way", 0.0)
    [delivery] = (await store.claim("r1", 8, 30.0)).deliveries
    assert delivery.attempts == 2
    await store.sent("alert_1", "r1")
    await store.failed("alert_1", "r1", "a host that was late", 0.0)
    assert await store.claim("r1", 8, 30.0) == ((), 0, None)
    await store.claim("r2", 8, 30.0)
    await store.failed("alert_1", "r2", "x" * 5000, None)
    assert await store.claim("r2", 8, 30.0) == ((), 0, None)
    rows = await query(
        postgres,
        "SELECT receiver, sent_at IS NOT NULL, given_up_at IS NOT NULL, length(last_error)"
        " FROM alert_deliveries ORDER BY receiver",
    )
    assert rows == [("r1", True, False, None), ("r2", False, True, 500)]


async def test_what_is_over_is_forgotten(postgres: str) -> None:
    store = at(postgres)
    now = int(wall())
    recent = replace(ALERT, window=Span(now, now + DAY))
    await store.keep([recent, replace(recent, id="t", window=ALL_TIME)], ["r1", "old"])
    await store.forget(["r1"])
    assert len(await query(postgres, "SELECT FROM alerts")) == 2
    await query(postgres, "UPDATE alerts SET created = now() - interval '3 days'")
    await store.forget(["r1"])
    waiting = await query(
        postgres, "SELECT DISTINCT receiver FROM alert_deliveries WHERE next_try IS NOT NULL"
    )
    assert waiting == [("r1",)]
    await query(postgres, "UPDATE alerts SET window_end = '2020-01-01' WHERE id <> 't'")
    await store.forget(["r1"])
    assert await query(postgres, "SELECT id FROM alerts") == [("t",)]


async def test_documents_with_alerts_when_they_change(postgres: str) -> None:
    store = at(postgres)
    budget = {"amount": "10", "period": "day", "alerts": [50]}
    quiet = {"budgets": [{"amount": "10", "period": "day"}]}
    keys = [
        ("k1", {"name": "a", "budgets": [budget]}, None),
        ("k2", {"name": "b", "model_limits": {"m": {"budgets": [budget]}}}, None),
        ("k3", {"name": "c", **quiet}, None),
        ("k4", {"name": "d", "budgets": [budget]}, datetime.now(UTC)),
    ]
    for number, (id_, document, deleted) in enumerate(keys):
        await query(
            postgres,
            "INSERT INTO keys (id, hash, document, version, seq, created, changed, deleted)"
            " VALUES ($1, $2, $3, 1, 1, now(), now(), $4)",
            *(id_, bytes([number]) * 32, dumps(document).decode(), deleted),
        )
    for kind, name, document in (
        ("team", "t", {"budgets": [budget]}),
        ("user", "u", quiet),
    ):
        await query(
            postgres,
            "INSERT INTO scopes (kind, name, document, version, seq, created, changed)"
            " VALUES ($1, $2, $3, 1, 1, now(), now())",
            *(kind, name, dumps(document).decode()),
        )
    found = await store.budgets(None)
    assert found is not None
    assert sorted(each["name"] for each in found.keys) == ["a", "b"]
    assert found.scopes == ((Scope("team", "t"), {"budgets": [budget]}),)
    assert await store.budgets(found.seq) is None
    asked = [Scope("team", "t"), Scope("team", "x"), Scope("key", "a"), Scope("key", "d")]
    assert await store.written(asked) == {Scope("team", "t"), Scope("key", "a")}
