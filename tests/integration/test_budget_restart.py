"""A budget in a worker's memory is the same wall after the worker, or everything, was killed.

Real processes, SIGKILL, a real database. What the proxy says is left after a restart has to agree,
to the last nano-USD, with the costs in the records of what was answered before it.
"""

import asyncio
import os
import signal
import time
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from proxy.base.jsonio import dumps, loads
from tests.fakes.postgres import postgres, postgres_server, query, with_database
from tests.integration.processes_harness import CHAT, PATIENCE, Serving, gone, serving

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


def ask(proxy: Serving, **more: object) -> Answer:
    body = {"model": "m", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}], **more}
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {KEY}",
        "connection": "close",
    }
    connection = proxy.connect()
    try:
        connection.request("POST", CHAT, dumps(body), headers)
        answer = connection.getresponse()
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
