"""From SDK calls to the last digit in Postgres: every answer has its row, once, at its price."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.base.jsonio import dumps, loads
from proxy.config.load import load
from proxy.control_plane import ControlPlane
from tests.fakes.postgres import (
    data_dir,
    empty_postgres,
    postgres,
    postgres_server,
    query,
    template,
)
from tests.fakes.vendor import Vendor
from tests.integration.gateway import gateway, provider, target

__all__ = ["data_dir", "empty_postgres", "postgres", "postgres_server", "template"]

CHAT = "/v1/chat/completions"
PRICE = {"input": 2.5, "output": 10}
ADMIN = "sk-admin-of-the-test"


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as running:
        yield running


def configuration(vendor: Vendor, postgres: str, folder: Path) -> dict[str, object]:
    return {
        "auth": "none",
        "listen": "127.0.0.1:0",
        "data_dir": str(folder),
        "store": postgres,
        "store_failure": {"budgets": "local"},  # Served before control has asked the store.
        "admin": {"listen": "127.0.0.1:0", "key": ADMIN},
        "providers": {"vendor": provider(vendor.url)},
        "models": {"gpt": {"targets": [target("vendor", "gpt-4o")], "price": PRICE}},
    }


async def fetch(url: str, key: str = "") -> bytes:
    def get() -> bytes:
        asked = urllib.request.Request(url, headers={"authorization": f"Bearer {key}"})
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return bytes(answer.read())

    return await asyncio.to_thread(get)


async def test_every_answer_is_a_row_and_a_count(
    vendor: Vendor, postgres: str, tmp_path: Path
) -> None:
    settings = configuration(vendor, postgres, tmp_path / "data")
    async with gateway(settings) as proxy:
        for stream in (False, True, False):
            body = dumps({"model": "gpt", "stream": stream, "messages": []})
            caller = await proxy.call()
            assert (await caller.ask("POST", CHAT, body=body)).status == 200
        caller = await proxy.call()
        assert (await caller.ask("POST", CHAT, body=b'{"model":"nope"}')).status == 404

        file = tmp_path / "control.yaml"
        file.write_bytes(dumps(settings))
        plane = ControlPlane("test")
        await plane.apply(await asyncio.to_thread(load, file, env={}))
        try:
            rows: list[tuple[object, ...]] = []
            async with asyncio.timeout(20):
                while len(rows) < 4:
                    await asyncio.sleep(0.1)
                    rows = await query(
                        postgres, "SELECT outcome, input_tokens, output_tokens, cost FROM usage"
                    )
            assert len(rows) == 4
            whole = [row for row in rows if row[0] == "completed"]
            assert len(whole) == 3
            for _, tokens_in, tokens_out, cost in whole:
                assert cost == int(tokens_in) * 2_500 + int(tokens_out) * 10_000  # type: ignore[call-overload]
            assert plane._admin is not None
            port = plane._admin.port
            page = (await fetch(f"http://127.0.0.1:{port}/metrics")).decode()
            assert 'llm_proxy_requests_total{model="gpt",provider="vendor",status="200"' in page
            assert 'llm_proxy_store_up{store="postgres"} 1' in page
            found = loads(await fetch(f"http://127.0.0.1:{port}/admin/usage?by=model", ADMIN))
            assert b"gpt" in dumps(found)
        finally:
            await plane.stop()


async def test_the_admin_api_wants_its_key(vendor: Vendor, postgres: str, tmp_path: Path) -> None:
    file = tmp_path / "control.yaml"
    file.write_bytes(dumps(configuration(vendor, postgres, tmp_path / "data")))
    plane = ControlPlane("test")
    await plane.apply(await asyncio.to_thread(load, file, env={}))
    try:
        assert plane._admin is not None
        for key in ("", "sk-wrong"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                await fetch(f"http://127.0.0.1:{plane._admin.port}/admin/usage", key)
            # The store, which is being started, may know another key.
            assert caught.value.code in ({401, 503} if key else {401})
            assert ADMIN.encode() not in caught.value.read()
            caught.value.close()
    finally:
        await plane.stop()
