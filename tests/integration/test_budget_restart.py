"""A budget in a worker's memory is the same wall after the worker, or everything, was killed.

Real processes, SIGKILL, a real database. What the proxy says is left after a restart has to agree,
to the last nano-USD, with the costs in the records of what was answered before it.
"""

import asyncio
import http.client
import os
import random
import signal
import threading
import time
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from proxy.base.jsonio import dumps, loads
from proxy.stores.postgres.usage import PostgresUsage
from proxy.usage.holds_taken import take_over
from proxy.usage.shipper import Shipper
from tests.fakes.postgres import postgres, postgres_server, query, with_database
from tests.integration.processes_harness import (
    CHAT,
    PATIENCE,
    Serving,
    gone,
    run_command,
    serving,
)

__all__ = ["postgres", "postgres_server"]

KEY = "sk-spends-money"
LEFT = "x-llm-proxy-budget-remaining"
NANO = 10**9


def configuration(folder: Path, store: str, **more: object) -> Path:
    settings: dict[str, object] = {
        "listen": "127.0.0.1:0",
        "drain": "10s",
        "store": store,
        "data_dir": str(folder / "data"),
        "admin": {"listen": "localhost:0"},
        "telemetry": {"log": {"format": "text"}},
        "providers": {"demo": {"kind": "demo", "delay": "1ms"}},
        "models": {
            "m": {
                "targets": [{"provider": "demo", "model": "demo-1"}],
                "price": {"input": 2.512345, "output": 10.000001},
            }
        },
        "keys": [{"name": "spender", "key": KEY, "team": "research"}],
        "teams": {"research": {"budgets": [{"amount": 5, "period": "month"}]}},
        **more,
    }
    file = folder / "config.yaml"
    file.write_bytes(dumps(settings))
    return file


class Answer:
    """What one call was told."""

    def __init__(self, status: int, left: str | None, retry_after: str | None, body: bytes) -> None:
        self.status = status
        self.left = int(Decimal(left) * NANO) if left is not None else None
        self.retry_after = retry_after
        self.body = body


def send(connection: http.client.HTTPConnection, **more: object) -> http.client.HTTPResponse:
    """Ask, and return the head of the answer."""
    body = {"model": "m", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}], **more}
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {KEY}",
        "connection": "close",
    }
    connection.request("POST", CHAT, dumps(body), headers)
    return connection.getresponse()


def ask(proxy: Serving, **more: object) -> Answer:
    connection = proxy.connect()
    try:
        answer = send(connection, **more)
        said = answer.getheader(LEFT), answer.getheader("retry-after")
        return Answer(answer.status, *said, answer.read())
    finally:
        connection.close()


def once_known(proxy: Serving, **more: object) -> Answer:
    """The first answer that is not a refusal for want of knowledge."""
    end = time.perf_counter() + PATIENCE  # noqa: TID251
    while True:
        try:
            answer = ask(proxy, **more)
        except OSError:
            answer = None  # Between two workers.
        if answer is not None and answer.status != 503:
            return answer
        assert time.perf_counter() < end, proxy.log()  # noqa: TID251
        time.sleep(0.05)


def spent(dsn: str, answers: int) -> list[int]:
    """The costs of so many answered requests, as they were made; waits until all are shipped."""

    async def rows() -> list[int]:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await query(
                    dsn, "SELECT cost FROM usage WHERE outcome = 'completed' ORDER BY at"
                )
                if len(found) >= answers:
                    assert len(found) == answers
                    return [cost for (cost,) in found]
                await asyncio.sleep(0.05)

    return asyncio.run(rows())


def died(dsn: str, requests: int) -> list[int]:
    """The costs of so many requests that were in flight when their worker was killed."""
    sql = "SELECT cost FROM usage WHERE error = 'worker_died' AND outcome = 'failed' ORDER BY at"

    async def rows() -> list[int]:
        async with asyncio.timeout(PATIENCE):
            while len(found := await query(dsn, sql)) < requests:
                await asyncio.sleep(0.05)
        assert len(found) == requests
        return [cost for (cost,) in found]

    return asyncio.run(rows())


def allow_connections(dsn: str, *, allow: bool) -> None:
    """To a database: without them it is away for all of the proxy's processes."""
    name = urlsplit(dsn).path.removeprefix("/")
    statement = f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}"
    _ = asyncio.run(query(with_database(dsn, "postgres"), statement))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert gone(pid, PATIENCE)


def kill_everything(proxy: Serving) -> None:
    children = proxy.children()
    proxy.signal(signal.SIGKILL)
    for pid in children.values():
        kill(pid)
    proxy.ended()


def test_a_killed_worker_leaves_its_spending_to_the_next(postgres: str, tmp_path: Path) -> None:
    with serving(configuration(tmp_path, postgres)) as proxy:
        hold = 5 * NANO - (once_known(proxy).left or 0)
        assert hold > 0
        for number in range(8):
            assert ask(proxy, stream=number % 2 == 1).status == 200
        kill(proxy.children()["worker-0"])
        after = once_known(proxy)
        assert after.status == 200
        for _ in range(3):
            assert ask(proxy).status == 200
        kill(proxy.children()["worker-0"])
        last = once_known(proxy)
        costs = spent(postgres, 14)
    assert after.left == 5 * NANO - sum(costs[:9]) - hold
    assert last.left == 5 * NANO - sum(costs[:13]) - hold
    assert sum(costs) > 0


def test_the_wall_stands_after_everything_was_killed(postgres: str, tmp_path: Path) -> None:
    walls = {"research": {"budgets": [{"amount": "0.0021", "period": "month"}]}}
    file = configuration(tmp_path, postgres, teams=walls)
    limit = 2_100_000
    answered = 0
    with serving(file) as proxy:
        answer = once_known(proxy)
        while answer.status == 200:
            answered += 1
            answer = ask(proxy)
        kill_everything(proxy)
    assert answer.status == 429
    assert b"insufficient_quota" in answer.body
    assert answered > 3
    with serving(file) as proxy:
        again = once_known(proxy)
        costs = spent(postgres, answered)
    assert again.status == 429
    assert again.left == answer.left == limit - sum(costs) > 0


def test_without_its_database_nothing_is_spent(postgres: str, tmp_path: Path) -> None:
    file = configuration(tmp_path, postgres)
    with serving(file) as proxy:
        first = once_known(proxy)
        assert ask(proxy).status == 200
        _ = spent(postgres, 2)
        kill_everything(proxy)
    allow_connections(postgres, allow=False)
    with serving(file) as proxy:
        for _ in range(10):
            refused = ask(proxy)
            assert (refused.status, refused.retry_after) == (503, "1")
            time.sleep(0.05)
        allow_connections(postgres, allow=True)
        back = once_known(proxy)
        costs = spent(postgres, 3)
    assert first.left is not None
    assert back.left == first.left - sum(costs[:2])


def test_where_the_operator_allows_it_spending_goes_on_and_counts(
    postgres: str, tmp_path: Path
) -> None:
    file = configuration(tmp_path, postgres, store_failure={"budgets": "allow"})
    allow_connections(postgres, allow=False)
    with serving(file) as proxy:
        answers = [ask(proxy) for _ in range(4)]
        assert [(each.status, each.left) for each in answers] == [(200, None)] * 4
        allow_connections(postgres, allow=True)
        end = time.perf_counter() + PATIENCE  # noqa: TID251
        while (last := ask(proxy)).left is None:
            answers.append(last)
            assert time.perf_counter() < end  # noqa: TID251
            time.sleep(0.02)
        second = ask(proxy)
        costs = spent(postgres, len(answers) + 2)
    assert second.left is not None
    assert last.left is not None
    assert second.left == last.left - costs[-2]
    hold = 5 * NANO - last.left - sum(costs[:-2])
    assert hold == 5 * NANO - second.left - sum(costs[:-1])
    assert loads(last.body)["usage"]["completion_tokens"] > 0


SLOW = {"demo": {"kind": "demo", "delay": "500ms"}}


class Streams:
    """Streams that are in flight, and what each of them left of the budget."""

    def __init__(self, proxy: Serving, count: int, **more: object) -> None:
        self._connections = [proxy.connect() for _ in range(count)]
        # Kept: with an answer that is dropped its connection is closed.
        self._answers = [send(each, stream=True, **more) for each in self._connections]
        self.left = [int(Decimal(each.getheader(LEFT) or "") * NANO) for each in self._answers]

    def close(self) -> None:
        for answer, connection in zip(self._answers, self._connections, strict=True):
            answer.close()
            connection.close()


def test_what_was_in_flight_is_charged_as_held_and_recorded_once(
    postgres: str, tmp_path: Path
) -> None:
    file = configuration(tmp_path, postgres, providers=SLOW)
    with serving(file) as proxy:
        assert once_known(proxy, max_tokens=1).status == 200
        streams = Streams(proxy, 3)
        capped = Streams(proxy, 1, max_tokens=4)
        kill(proxy.children()["worker-0"])
        streams.close()
        capped.close()
        after = Streams(proxy, 1)
        charged = died(postgres, 4)
        kill_everything(proxy)
        after.close()
    lefts = [*streams.left, *capped.left]
    (first,) = spent(postgres, 1)
    holds = [a - b for a, b in zip([5 * NANO - first, *lefts], lefts, strict=False)]
    assert holds[0] == holds[1] == holds[2] > holds[3] > 0
    assert charged == holds
    assert after.left == [lefts[-1] - holds[0]]
    with serving(file) as proxy:
        again = Streams(proxy, 1)
        assert died(postgres, 5) == [*holds, holds[0]]
        told = run_command("usage", "--config", file, "--format", "json", directory=tmp_path)
        again.close()
    assert again.left == [after.left[0] - holds[0]]
    totals = loads(told.stdout)["totals"]
    assert int(Decimal(totals["cost_usd"]) * NANO) == first + sum(holds) + holds[0]
    assert totals["failed"] >= 5  # And those that were refused before the budget was known.


def test_killed_at_any_point_the_budget_is_the_sum_of_the_records(
    postgres: str, tmp_path: Path
) -> None:
    quick = {"demo": {"kind": "demo", "delay": "3ms"}}
    answered: list[bytes] = []
    enough = threading.Event()

    def calls(proxy: Serving, *, stream: bool) -> None:
        while not enough.is_set():
            try:
                answer = ask(proxy, stream=stream)
            except (OSError, http.client.HTTPException):
                continue  # Its worker was killed.
            if answer.status == 200 and (not stream or b"[DONE]" in answer.body):
                answered.append(answer.body)

    file = configuration(tmp_path, postgres, providers=quick)
    with serving(file) as proxy:
        hold = 5 * NANO - (once_known(proxy).left or 0)
        callers = [
            threading.Thread(target=calls, args=(proxy,), kwargs={"stream": n % 2 == 0})
            for n in range(6)
        ]
        for caller in callers:
            caller.start()
        for _ in range(4):
            before = len(answered)
            while len(answered) < before + 20:
                time.sleep(random.random() / 50)
            names = ["worker-0", "control"] if random.random() < 0.5 else ["worker-0"]
            for name in names:
                kill(proxy.children()[name])
        enough.set()
        for caller in callers:
            caller.join()
        kill_everything(proxy)
    count, ids, completed, made, cost = asyncio.run(shipped(postgres, tmp_path / "data" / "spool"))
    assert count == ids
    assert completed > len(answered)
    assert made > 0
    with serving(file) as proxy:
        assert once_known(proxy).left == 5 * NANO - cost - hold


async def shipped(dsn: str, spool: Path) -> tuple[int, int, int, int, int]:
    """All of a spool that nobody writes to: how many records and ids the store has, how many of
    them completed and were made of holds, and their costs."""
    _ = await asyncio.to_thread(take_over, spool)
    store = PostgresUsage(dsn)
    try:
        await Shipper(spool, store).drain()
    finally:
        await store.close()
    sql = (
        "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE outcome = 'completed'),"
        " count(*) FILTER (WHERE error = 'worker_died'), sum(cost)::bigint FROM usage"
    )
    ((count, ids, completed, made, cost),) = await query(dsn, sql)
    return count, ids, completed, made, cost
