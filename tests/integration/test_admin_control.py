"""The admin API as control serves it: an embedded store that is only being started, then keys."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp
import asyncpg

from proxy.base.jsonio import dumps
from proxy.config.load import load
from proxy.control_plane import ControlPlane
from proxy.stores.postgres.identity_change import CHANNEL
from tests.fakes.postgres import postgres, postgres_server

__all__ = ["postgres", "postgres_server"]

ADMIN = "sk-admin-of-the-test"


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Control runs on asyncio's own loop."""
    return {"asyncio": asyncio.new_event_loop}


async def test_control_serves_the_api_as_soon_as_there_is_a_store(
    postgres: str, tmp_path: Path
) -> None:
    file = tmp_path / "control.yaml"
    admin = {"listen": "127.0.0.1:0", "key": ADMIN}
    content = {"auth": "none", "data_dir": str(tmp_path), "store": postgres, "admin": admin}
    file.write_bytes(dumps(content))
    plane = ControlPlane("test")
    await plane.apply(await asyncio.to_thread(load, file, env={}))
    heard: asyncio.Queue[object] = asyncio.Queue()
    listener = await asyncpg.connect(postgres)
    await listener.add_listener(CHANNEL, lambda *words: heard.put_nowait(words[-1]))
    try:
        assert plane._admin is not None
        base = f"http://127.0.0.1:{plane._admin.port}"
        headers = {"authorization": f"Bearer {ADMIN}"}
        async with aiohttp.ClientSession(base, headers=headers) as http:
            async with asyncio.timeout(20):
                while True:
                    async with http.post("/admin/keys", json={"name": "a"}) as answer:
                        made = await answer.json()
                        if answer.status != 503:
                            break
                        assert answer.headers["retry-after"] == "5"
                    await asyncio.sleep(0.1)
                assert answer.status == 201
                assert await heard.get() == "1"
            async with http.get("/admin/openapi.json") as answer:
                described = await answer.json()
                assert described["info"]["version"] == "test"
                assert "/metrics" in described["paths"]
            async with http.get(f"/admin/keys/{made['id']}/usage") as answer:
                assert answer.status == 200
    finally:
        await listener.close()
        await plane.stop()
