"""The whole service in the loop of a test: configuration file → Snapshot → App on a kernel port.

    async with gateway(settings(vendor)) as proxy:
        caller = await proxy.call()
        answer = await caller.ask("POST", "/v1/chat/completions", body=b"{...}")

When the block ends the service must be gone without a trace: no task, no open connection to a
vendor, nothing that the loop complained about.
"""

import asyncio
import functools
import gc
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from proxy.app import App
from proxy.base import jsonio
from proxy.config.load import load
from proxy.config.snapshot import Snapshot
from proxy.upstream.transport import HttpTransport
from tests.fakes.vendor import Vendor
from tests.integration.raw_caller import Caller

ALL = "sk-everything"
SOME = "sk-some-models"
EXPIRED = "sk-expired"
VENDOR_KEY = "sk-of-the-operator"
RENAMED = "vendor/name-that-is-longer_1.5"
TIMEOUTS = {"connect": "5s", "first_token": "10s", "idle": "10s", "total": "30s"}


def provider(base_url: str, **more: Any) -> dict[str, Any]:
    """An OpenAI-compatible provider with a key."""
    return {
        "kind": "openai",
        "base_url": base_url,
        "api_keys": [VENDOR_KEY],
        "timeouts": TIMEOUTS,
        **more,
    }


def target(name: str, model: str, **more: Any) -> dict[str, Any]:
    return {"provider": name, "model": model, **more}


def settings(vendor: Vendor | str, **more: Any) -> dict[str, Any]:
    """A configuration with one vendor, the demo vendor and three keys; `more` replaces sections."""
    base_url = vendor if isinstance(vendor, str) else vendor.url
    return {
        "listen": "127.0.0.1:0",
        "providers": {"vendor": provider(base_url), "demo": {"kind": "demo", "delay": "1ms"}},
        "models": {
            "gpt-4o-mini": {"targets": [target("vendor", "gpt-4o-mini")]},
            "renamed": {"targets": [target("vendor", RENAMED)]},
            "team-*": {"targets": [target("vendor", "*")]},
            "demo": {"targets": [target("demo", "demo-1")]},
        },
        "passthrough": {"provider": "vendor"},
        "keys": [
            {"name": "all", "key": ALL},
            {"name": "some", "key": SOME, "models": ["gpt-4o-mini", "team-a*"]},
            {"name": "expired", "key": EXPIRED, "expires": "2020-01-01"},
        ],
        **more,
    }


def unbroken(configuration: dict[str, Any]) -> dict[str, Any]:
    """The same where a target that fails is asked again and again: for tests of the failures."""
    patient = {"breaker": {"failures": 1000}}
    models = {name: {**patient, **model} for name, model in configuration["models"].items()}
    return {**configuration, "models": models}


@functools.cache
def closed_port() -> int:
    """A port that nobody listens on, nor can: it stays taken until this process ends. Were it let
    go, the kernel might give it to the very proxy that is told to find nobody there."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))  # Never listens, so it is refused.
    port = held.getsockname()[1]
    held.detach()
    assert isinstance(port, int)
    return port


class Gateway:
    """A running service and the ways to reach it."""

    def __init__(self, app: App, port: int, folder: Path) -> None:
        self.app = app
        self.port = port
        self._folder = folder
        self._callers: list[Caller] = []

    @property
    def url(self) -> str:
        """The base URL for an SDK."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def call(self, *, receive_buffer: int | None = None) -> Caller:
        """A new connection to it."""
        caller = await Caller.connect(self.port, receive_buffer=receive_buffer)
        self._callers.append(caller)
        return caller

    def leave(self) -> None:
        """Close all connections that were made by `call`."""
        for caller in self._callers:
            caller.leave()

    def forget_callers(self) -> None:
        """Close them and keep none: for tests that make thousands."""
        self.leave()
        self._callers.clear()

    async def reload(self, configuration: Mapping[str, Any]) -> None:
        await self.app.apply(await snapshot(configuration, self._folder))

    def upstream_open(self) -> int:
        """Connections to vendors, idle ones not counted."""
        built = self.app._built
        assert built is not None
        lines = (line.transport for line in built.lines.values())
        stats = [line.stats() for line in lines if isinstance(line, HttpTransport)]
        return sum(each.open - each.idle for each in stats)


async def snapshot(configuration: Mapping[str, Any], folder: Path) -> Snapshot:
    """What the loader makes of a configuration, through a file as an operator's would be. `folder`:
    where that lies, and `data_dir` below it where the configuration says no other."""
    return await asyncio.to_thread(_load, configuration, folder / "config.yaml")


def _load(configuration: Mapping[str, Any], path: Path) -> Snapshot:
    path.write_bytes(jsonio.dumps(configuration))  # Every JSON text is YAML.
    return load(path, env={})


@asynccontextmanager
async def gateway(configuration: Mapping[str, Any]) -> AsyncIterator[Gateway]:
    """Serve a configuration; afterwards, check that nothing is left of it."""
    with tempfile.TemporaryDirectory() as folder:  # Until the service, which writes to it, is gone.
        async with _served(configuration, Path(folder)) as proxy:
            yield proxy


@asynccontextmanager
async def _served(configuration: Mapping[str, Any], folder: Path) -> AsyncIterator[Gateway]:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    app = App()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listener.getsockname()[1]
    await app.start(await snapshot(configuration, folder), listener)
    proxy = Gateway(app, port, folder)
    try:
        yield proxy
    finally:
        proxy.leave()
        await app.stop(0.2)
    left = await _left_over(before)
    gc.collect()
    assert not left, f"tasks outlived the service: {left}"
    assert not complaints, complaints


async def _left_over(before: set["asyncio.Task[Any]"]) -> list["asyncio.Task[Any]"]:
    """Tasks of the service that do not end by themselves within a few turns of the loop."""
    left: list[asyncio.Task[Any]] = []
    for _ in range(50):
        tasks = asyncio.all_tasks() - before - {asyncio.current_task()}
        left = [task for task in tasks if not _is_a_fake(task)]
        if not left:
            break
        await asyncio.sleep(0)
    return left


def _is_a_fake(task: "asyncio.Task[Any]") -> bool:
    return task.get_name().startswith(("vendor-", "tcp proxy", "raw vendor", "test:"))
