"""The admin API as control serves it: an embedded store that is only being started, then keys."""

import asyncio
import contextlib
import socket
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
CONTROL = True
"""Control runs on asyncio's own loop."""


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


async def test_a_port_that_somebody_else_has_is_taken_when_it_is_free(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        file = tmp_path / "control.yaml"
        admin = {"listen": f"127.0.0.1:{port}"}
        content = {"auth": "none", "data_dir": str(tmp_path), "store": "none", "admin": admin}
        file.write_bytes(dumps(content))
        plane = ControlPlane("test")
        await plane.apply(await asyncio.to_thread(load, file, env={}))
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(10):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                        state = await answer.json()
                        break
                await asyncio.sleep(0.05)
        assert (state["keys"], state["alerts"], state["admin"]) == (
            "none", "none", "off: no `admin.key`",
        )  # fmt: skip
    finally:
        await plane.stop()
