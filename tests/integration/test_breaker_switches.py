"""Switches of targets and providers, from the admin API to every worker: real processes."""

from pathlib import Path

from tests.fakes.postgres import data_dir, template
from tests.integration.processes_harness import PATIENCE
from tests.integration.test_directory import (
    CONFIGURED,
    PROMISED,
    OwnPostgres,
    own_postgres,
    proxy,
    within,
)

__all__ = ["data_dir", "own_postgres", "template"]

TARGET = "targets/demo/demo/demo-1"


def test_switches_reach_every_worker_and_survive_a_restart(
    own_postgres: OwnPostgres, tmp_path: Path
) -> None:
    more = {"passthrough": {"provider": "demo"}}
    with proxy(tmp_path, own_postgres.dsn, workers=2, **more) as running:

        def statuses() -> set[int]:
            return {running.chat(CONFIGURED)[0] for _ in range(12)}

        def files() -> int:
            status: int = running._ask(running.process.port, "GET", "/v1/files", CONFIGURED)[0]
            return status

        def shown() -> str:
            (found,) = running.admin("GET", "targets")["data"]
            return str(found["status"])

        within(PATIENCE, lambda: statuses() == {200})
        running.admin("POST", f"{TARGET}/open")
        within(PROMISED, lambda: statuses() == {503})
        within(PATIENCE, lambda: shown() == "off")
        running.admin("POST", f"{TARGET}/auto")
        within(PROMISED, lambda: statuses() == {200})
        assert files() == 404  # The vendor's own answer.
        running.admin("POST", "providers/demo/disable")
        within(PROMISED, lambda: statuses() == {503})
        assert files() == 503  # Nor is it sent what names no model.
    with proxy(tmp_path, own_postgres.dsn) as running:
        within(PATIENCE, lambda: running.chat(CONFIGURED)[0] == 503)
        running.admin("POST", "providers/demo/enable")
        within(PROMISED, lambda: running.chat(CONFIGURED)[0] == 200)
