"""Keys and walls of the store, from the admin API to every worker: a real PostgreSQL and processes.

Each test waits for what must come to pass, and fails where it takes longer than is promised.
"""

import asyncio
import http.client
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.base.clock import monotonic
from proxy.base.jsonio import dumps, loads
from proxy.stores.postgres.embedded import EmbeddedPostgres
from tests.fakes.postgres import HASTY, data_dir, template
from tests.integration.processes_harness import (
    CHAT,
    PATIENCE,
    Serving,
    chat_body,
    serving,
)

__all__ = ["data_dir", "template"]

ADMIN = "admin-key-of-these-tests"
CONFIGURED = "sk-written-in-the-configuration"
PROMISED = 2.0
"""Seconds in which a change reaches every worker."""


class OwnPostgres:
    """A server of one test, which may take it away; on a loop in a thread of its own."""

    def __init__(self, folder: Path, template: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._folder = folder
        self._template = template
        self._server: EmbeddedPostgres | None = None
        self._thread.start()
        self.dsn = self.start()

    def start(self) -> str:
        self._server = EmbeddedPostgres(self._folder, template=self._template, settings=HASTY)
        dsn = self._run(self._server.start())
        assert isinstance(dsn, str)
        return dsn

    def stop(self) -> None:
        if self._server is not None:
            self._run(self._server.stop())
            self._server = None

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=PATIENCE)


@pytest.fixture
def own_postgres(data_dir: Path, template: Path) -> Iterator[OwnPostgres]:
    server = OwnPostgres(data_dir, template)
    yield server
    server.close()


class Proxy:
    """A running proxy, asked as callers and as its operator."""

    def __init__(self, process: Serving) -> None:
        self.process = process
        process.ready()
        self.find_admin()

    def find_admin(self, since: int = 0) -> None:
        """Where the admin port of the control that runs now is."""
        self.admin_port = int(self.process.saw(r"admin on http://\S+:(\d+)", since)[1])

    def status(self, key: str) -> int:
        """What a caller with that key is answered, on a connection of its own."""
        return self._ask(self.process.port, "GET", "/v1/models", key)[0]

    def statuses(self, key: str) -> set[int]:
        """The same from every worker, as far as chance allows."""
        return {self.status(key) for _ in range(12)}

    def chat(self, key: str) -> tuple[int, Any]:
        """Status and body of a chat."""
        return self._ask(self.process.port, "POST", CHAT, key, chat_body("demo", stream=False))

    def admin(self, method: str, path: str, body: object = None, version: object = None) -> Any:
        """Change something. The store may just be starting."""
        data = dumps(body) if body is not None else b""
        match = {} if version is None else {"if-match": f'"{version}"'}
        answered: tuple[int, Any] = (0, None)

        def accepted() -> bool:
            nonlocal answered
            answered = self._ask(self.admin_port, method, f"/admin/{path}", ADMIN, data, match)
            return answered[0] != 503

        within(PATIENCE, accepted)
        status, told = answered
        assert status < 300, told
        return told

    def make_key(self, name: str, **fields: object) -> tuple[str, str]:
        """A new key, and its id."""
        made = self.admin("POST", "keys", {"name": name, **fields})
        return made["key"], made["id"]

    def health(self) -> int:
        """What a load balancer is answered."""
        return self._ask(self.process.port, "GET", "/readyz", "")[0]

    def state(self) -> Any:
        """What control says of its parts."""
        return self._ask(self.admin_port, "GET", "/readyz", "")[1]

    def _ask(
        self, port: int, method: str, path: str, key: str, body: bytes = b"",
        more: dict[str, str] | None = None,
    ) -> tuple[int, Any]:  # fmt: skip
        connection = http.client.HTTPConnection(self.process.host, port, timeout=PATIENCE)
        headers = {
            "authorization": f"Bearer {key}", "content-type": "application/json", **(more or {})
        }  # fmt: skip
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, loads(text) if text else None


def within(seconds: float, condition: Callable[[], bool]) -> None:
    """Wait until it holds; fail where it does not in that time."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "it did not come to pass in time"
        threading.Event().wait(0.02)


@contextmanager
def proxy(folder: Path, dsn: str, **more: object) -> Iterator[Proxy]:
    """A proxy on that store whose keys and spool are in `folder`."""
    config = folder / "config.yaml"
    config.write_bytes(
        dumps(
            {
                "listen": "127.0.0.1:0",
                "drain": "1s",
                "store": dsn,
                "data_dir": str(folder / "data"),
                "admin": {"listen": "127.0.0.1:0", "key": ADMIN},
                "telemetry": {"log": {"format": "text"}},
                "providers": {"demo": {"kind": "demo", "delay": "0s"}},
                "models": {"demo": {"targets": [{"provider": "demo", "model": "demo-1"}]}},
                "keys": [{"name": "configured", "key": CONFIGURED}],
                **more,
            }
        )
    )
    with serving(config) as process:
        # Access lines: control waits for whoever does not read them.
        reader = threading.Thread(target=process.output, daemon=True)
        reader.start()
        try:
            yield Proxy(process)
        except AssertionError as error:
            error.add_note(process.log())
            raise
        finally:
            process.signal(signal.SIGTERM)
            process.ended()
            reader.join(PATIENCE)


def test_a_change_reaches_every_worker_in_time(own_postgres: OwnPostgres, tmp_path: Path) -> None:
    with proxy(tmp_path, own_postgres.dsn, workers=2) as running:
        assert running.statuses(CONFIGURED) == {200}
        key, id_ = running.make_key("ada", team="red")
        within(PATIENCE, lambda: running.statuses(key) == {200})  # The first needs a directory.
        assert running.statuses("sk-nobody-has-this") == {401}

        second, second_id = running.make_key("bob")
        within(PROMISED, lambda: running.statuses(second) == {200})

        turned = running.admin("POST", f"keys/{id_}/rotate", {"grace": "1h"})
        within(PROMISED, lambda: running.statuses(turned["key"]) == {200})
        assert running.statuses(key) == {200}
        last = running.admin("POST", f"keys/{id_}/rotate", {"grace": "0s"})["key"]
        within(PROMISED, lambda: running.statuses(turned["key"]) == {401})
        assert running.statuses(key) == {401}
        assert running.statuses(last) == {200}

        running.admin("POST", f"keys/{id_}/block")
        within(PROMISED, lambda: running.statuses(last) == {403})
        running.admin("POST", f"keys/{id_}/unblock")
        within(PROMISED, lambda: running.statuses(last) == {200})

        version = running.admin("GET", f"keys/{second_id}")["version"]
        running.admin("DELETE", f"keys/{second_id}", version=version)
        within(PROMISED, lambda: running.statuses(second) == {401})
        assert running.statuses(last) == {200}


def test_walls_of_the_store_stand_in_the_worker(own_postgres: OwnPostgres, tmp_path: Path) -> None:
    with proxy(tmp_path, own_postgres.dsn) as running:
        key, _ = running.make_key("ada", team="red")
        within(PATIENCE, lambda: running.status(key) == 200)
        assert running.chat(key)[0] == 200
        running.admin("POST", "teams", {"name": "red", "limits": {"rpm": 2}})
        within(PROMISED, lambda: running.chat(key)[0] == 429)
        _, told = running.chat(key)
        assert "team `red`" in told["error"]["message"]
        version = running.admin("GET", "teams/red")["version"]
        running.admin("PATCH", "teams/red", {"limits": None, "blocked": True}, version)
        within(PROMISED, lambda: running.chat(key)[0] == 403)
        assert running.status(key) == 403  # The list of models too.
        _, told = running.chat(key)
        assert "team `red` is blocked" in told["error"]["message"]
        assert running.chat(CONFIGURED)[0] == 200


def test_budgets_that_several_workers_cannot_count_are_refused_by_all_of_them(
    own_postgres: OwnPostgres, tmp_path: Path
) -> None:
    with proxy(tmp_path, own_postgres.dsn) as running:
        poor, _ = running.make_key("poor", budgets=[{"amount": 5, "period": "day"}])
        rich, _ = running.make_key("rich")
        within(PATIENCE, lambda: running.status(rich) == 200)
    with proxy(tmp_path, own_postgres.dsn, workers=2) as running:
        answers = [running.chat(poor) for _ in range(12)]
        assert {status for status, _ in answers} == {503}
        for _, told in answers:
            assert told["error"]["code"] == "redis_needed"
            assert "key `poor`" in told["error"]["message"]
            assert "set `redis`, or `workers: 1`" in told["error"]["message"]
        assert running.chat(rich)[0] == 200
        running.process.saw("requests are refused: the budget of key `poor`")
        within(PATIENCE, lambda: "the budget of key `poor`" in running.state()["limits"])


def test_keys_work_while_the_store_and_control_are_away(
    own_postgres: OwnPostgres, tmp_path: Path
) -> None:
    with proxy(tmp_path, own_postgres.dsn) as running:
        known, _ = running.make_key("ada")
        asleep, _ = running.make_key("bob")
        within(PATIENCE, lambda: running.status(asleep) == 200)
        assert running.status(known) == 200
        own_postgres.stop()
        assert running.status(known) == 200

        mark = running.process.mark()
        children = running.process.children()
        worker = next(name for name in children if name.startswith("worker"))
        os.kill(children[worker], signal.SIGKILL)
        within(PATIENCE, lambda: running.process.children().get(worker) not in {
            None, children[worker]
        })  # fmt: skip
        within(PATIENCE, lambda: _answers(running, asleep))
        assert running.status(asleep) == 200  # Read from the file: this worker never saw it.
        assert running.status("sk-nobody-has-this") == 401

        os.kill(children["control"], signal.SIGKILL)
        assert running.status(known) == 200
        running.find_admin(mark)

        own_postgres.start()
        new, _ = running.make_key("eve")
        within(PATIENCE, lambda: running.status(new) == 200)

    own_postgres.stop()
    with proxy(tmp_path, own_postgres.dsn) as again:
        assert [again.status(key) for key in (known, asleep, new)] == [200] * 3
        assert again.status("sk-nobody-has-this") == 401


def _answers(running: Proxy, key: str) -> bool:
    try:
        running.status(key)
    except OSError:
        return False
    return True


def test_keys_of_the_configuration_need_no_store_where_the_operator_says_so(
    own_postgres: OwnPostgres, tmp_path: Path
) -> None:
    dsn = own_postgres.dsn
    own_postgres.stop()
    policy = {"limits": "local", "budgets": "local"}
    with proxy(tmp_path, dsn, store_failure=policy) as running:
        assert running.chat(CONFIGURED)[0] == 200
        assert running.health() == 200
        status, told = running.chat("sk-perhaps-somebody-has-this")
        assert (status, told["error"]["code"]) == (503, "store_unavailable")


def test_without_a_directory_nobody_is_called_unknown(
    own_postgres: OwnPostgres, tmp_path: Path
) -> None:
    dsn = own_postgres.dsn
    own_postgres.stop()
    with proxy(tmp_path, dsn) as running:
        assert running.status("sk-perhaps-somebody-has-this") == 503
        # A budget of its team, or of all, may stand in the store. Its own rights are known.
        assert running.status(CONFIGURED) == 200
        status, told = running.chat(CONFIGURED)
        assert (status, told["error"]["code"]) == (503, "store_unavailable")
        assert "`store_failure` with no `deny`" in told["error"]["message"]
        assert running.health() == 503
        within(PATIENCE, lambda: "serves nothing" in running.state()["workers"].get("worker-0", ""))
        within(PATIENCE, lambda: "cannot be asked for keys" in running.state()["keys"])
        running.process.saw("nothing is served yet")
        own_postgres.start()
        within(PATIENCE, lambda: running.health() == 200)
        assert running.chat(CONFIGURED)[0] == 200
        within(PATIENCE, lambda: running.state()["workers"]["worker-0"] == "up")
        within(PATIENCE, lambda: running.status("sk-perhaps-somebody-has-this") == 401)
        (tmp_path / "data/directory.db").write_bytes(b"this is no database" * 5000)
        key, _ = running.make_key("ada")
        within(PATIENCE, lambda: running.status(key) == 200)
