"""The whole program, and a search through everything that comes out of it: no key anywhere, and
prompts and answers only where `telemetry.content` puts them."""

import asyncio
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from proxy.base.jsonio import dumps
from tests.fakes.postgres import data_dir, postgres, postgres_server, query
from tests.fakes.vendor import Vendor
from tests.integration.canaries import (
    ADMIN,
    COLLECTOR,
    HEADER,
    KEY,
    KEYS,
    LABEL,
    VENDOR_KEY,
    WORDS,
    Calls,
)
from tests.integration.gateway import closed_port, target
from tests.integration.processes_harness import Serving, run_command
from tests.unit.telemetry.collector import Collector, body_of

__all__ = ["data_dir", "postgres", "postgres_server"]

CANARIES = (*KEYS, *WORDS, LABEL)


def configuration(content: str, store: str, data: Path, vendor: str, collector: str) -> bytes:
    def provider(url: str) -> dict[str, Any]:
        headers = {"x-account": HEADER}
        return {"kind": "openai", "base_url": url, "api_keys": [VENDOR_KEY], "headers": headers}

    return dumps(
        {
            "listen": "127.0.0.1:0",
            "data_dir": str(data),
            "store": store,
            "store_failure": {"budgets": "local"},  # Served before control has asked the store.
            "max_body": "1MiB",
            "admin": {"listen": "127.0.0.1:0", "key": ADMIN},
            "keys": [{"name": "alice", "key": KEY, "team": "blue"}],
            "providers": {
                "vendor": provider(vendor),
                "away": provider(f"http://127.0.0.1:{closed_port()}/v1"),
            },
            "models": {
                "gpt": {
                    "targets": [target("vendor", "gpt-4o")],
                    "price": {"input": 1},
                    "breaker": {"failures": 1000},
                },
                "away": {"targets": [target("away", "gpt-4o")]},
            },
            "passthrough": {"provider": "vendor"},
            "telemetry": {
                "content": content,
                "log": {"level": "debug", "format": "text"},
                "otlp": {
                    "endpoint": collector,
                    "headers": {"authorization": f"Bearer {COLLECTOR}"},
                },
            },
        }
    )


def found(text: str) -> set[str]:
    """The canaries in a text."""
    return {canary for canary in CANARIES if canary in text}


async def rows_of(dsn: str) -> dict[str, str]:
    """Everything in the database as text, by table; partitions are part of theirs."""
    tables = await query(
        dsn,
        "SELECT relname::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition",
    )
    return {
        str(name): "".join(
            str(row) for (row,) in await query(dsn, f"SELECT to_jsonb(t)::text FROM {name} t")
        )
        for (name,) in tables
    }


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_bytes().decode("utf-8", "replace")
        for path in folder.rglob("*")
        if path.is_file()
    }


def fetch(proxy: Serving, path: str, key: str = ADMIN) -> str:
    place = proxy.saw(r"metrics and admin on (http://[0-9.]+:\d+)")
    asked = urllib.request.Request(f"{place[1]}{path}", headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return str(answer.read().decode())


class Run:
    """One run of the program with all calls, and what came out of it, by place."""

    def __init__(self, content: str, store: str, data: Path, folder: Path) -> None:
        self._content = content
        self._store = store
        self._data = data
        self._config = folder / "config.yaml"
        self.came_out: dict[str, str] = {}

    async def run(self) -> None:
        async with Vendor() as vendor, Collector() as collector:
            text = configuration(
                self._content, self._store, self._data, vendor.url, collector.origin
            )
            self._config.write_bytes(text)
            proxy = Serving(self._config)
            try:
                _ = await asyncio.to_thread(proxy.ready)
                calls = Calls(proxy.port, vendor)
                await calls.all()
                await self._shipped(calls.recorded)
                await self._told(collector, calls.recorded)
                await asyncio.to_thread(self._ask, proxy)
                self.came_out["files while it runs"] = "".join(files_of(self._data).values())
                await asyncio.to_thread(self._break_and_end, proxy)
                self.came_out["stdout"] = proxy.output()
            finally:
                await asyncio.to_thread(proxy.close)
            self.came_out["stderr"] = proxy.log()
        self.came_out["answers"] = b"".join(calls.told).decode("utf-8", "replace")
        self.came_out["otlp"] = "".join(
            body_of(request).decode("utf-8", "replace") for request in collector.requests
        )
        self.came_out["spans"] = "".join(map(str, collector.spans()))
        for table, rows in (await rows_of(self._store)).items():
            self.came_out[f"table {table}"] = rows
        kept = await query(self._store, "SELECT to_jsonb(usage)::text FROM usage ORDER BY at")
        assert len(kept) == calls.recorded, "\n".join(str(row) for (row,) in kept)

    async def _shipped(self, count: int) -> None:
        async with asyncio.timeout(20):
            while True:
                if await query(self._store, "SELECT to_regclass('usage')::text") != [(None,)]:
                    [(there,)] = await query(self._store, "SELECT count(*)::int FROM usage")
                    if int(there) >= count:
                        return
                await asyncio.sleep(0.1)

    async def _told(self, collector: Collector, count: int) -> None:
        async with asyncio.timeout(20):
            while sum(span.kind == span.SPAN_KIND_SERVER for span in collector.spans()) < count:
                await collector.arrived.reach(collector.calls + 1)

    def _ask(self, proxy: Serving) -> None:
        for path in ("/metrics", "/healthz", "/readyz", "/admin/usage?by=model,key,tag"):
            self.came_out[path] = fetch(proxy, path)
        for arguments in (
            ("check",),
            ("usage", "--config"),
            ("usage", "--by", "tag,key", "--format", "json", "--config"),
            ("usage", "export", "--config"),
            ("usage", "export", "--format", "json", "--content", "--config"),
        ):
            done = run_command(*arguments, self._config, directory=self._config.parent)
            assert done.returncode == 0, done.stderr
            self.came_out[" ".join(arguments)] = done.stdout + done.stderr

    def _break_and_end(self, proxy: Serving) -> None:
        """A configuration with secrets in wrong places, then the end."""
        text = self._config.read_text()
        wrong = text.replace('"alice"', f'{{"{KEY}": "{VENDOR_KEY}"}}')
        self._config.write_text(wrong.replace('"gpt-4o"', f'"gpt-4o", "{ADMIN}x": "{HEADER}"', 1))
        proxy.saw("the configuration is not valid")
        done = run_command("check", self._config, directory=self._config.parent)
        assert done.returncode == 2
        self.came_out["check of a bad file"] = done.stdout + done.stderr
        proxy.signal(signal.SIGTERM)
        assert proxy.ended() == 0


NAMED = ("stdout", "files while it runs", "otlp", "spans", "table usage", "table usage_hourly",
         "table spent", "/admin/usage?by=model,key,tag",
         "usage --by tag,key --format json --config", "usage export --config",
         "usage export --format json --content --config")  # fmt: skip
SAID = ("files while it runs", "otlp", "spans", "table usage",
        "usage export --format json --content --config")  # fmt: skip
MAY_BE_TOLD: dict[str, dict[str, set[str]]] = {
    "none": {},
    "metadata": {place: {LABEL} for place in NAMED},
    "full": {place: {LABEL, *WORDS} if place in SAID else {LABEL} for place in NAMED},
}


@pytest.mark.parametrize("content", MAY_BE_TOLD)
def test_what_comes_out_has_no_canary(
    content: str, postgres: str, data_dir: Path, tmp_path: Path
) -> None:
    """What is allowed in a place must be there too, or the search would prove nothing."""
    run = Run(content, postgres, data_dir, tmp_path)
    asyncio.run(run.run())
    came_out = run.came_out
    # A caller may be told what it sent, and what it was answered; never a key.
    assert found(came_out.pop("answers")) == {*WORDS, LABEL}
    assert not [place for place in MAY_BE_TOLD["full"] if not came_out[place]]
    assert {place: found(text) for place, text in came_out.items() if found(text)} == (
        MAY_BE_TOLD[content]
    )
