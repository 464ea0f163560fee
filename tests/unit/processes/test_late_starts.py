"""What control and a worker do when parts of their start come late, or fail."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from proxy.app import App
from proxy.base.errors import OperatorError
from proxy.config.load import load
from proxy.config.snapshot import Snapshot
from proxy.processes import control
from proxy.processes.channel import Channel
from proxy.processes.control import Control
from proxy.processes.messages import Configure, Refused
from proxy.processes.worker import Worker

CONFIG = """
store: none
auth: none
data_dir: {folder}
providers: {{demo: {{kind: demo}}}}
models: {{m: {{targets: [{{provider: demo, model: demo-1}}]}}}}
"""

Changes = Callable[[Sequence[Path]], AsyncIterator[None]]


async def test_what_ends_a_new_worker_is_not_laid_on_the_trial_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told both at once, the good one and the trial: a disk that is full for a moment would
    have the trial dropped in all workers."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(folder=tmp_path))
    snapshot = await asyncio.to_thread(load, path, env={})

    async def fails(
        self: App, snapshot: Snapshot, listener: socket.socket, last: Callable[[], object]
    ) -> None:
        listener.close()
        raise OperatorError("the disk is full")

    monkeypatch.setattr(App, "start", fails)
    monkeypatch.setattr(Worker, "_log_by", lambda self, snapshot: None)
    ours, theirs = socket.socketpair()
    hatch, inner = socket.socketpair()
    channel, its_own = await Channel.over(ours), await Channel.over(theirs)
    with hatch, socket.create_server(("127.0.0.1", 0)) as listener:
        socket.send_fds(hatch, [b"\0"], [listener.fileno()])
        for version in ("good", "trial"):
            channel.send(Configure(version, Snapshot.dump(snapshot)))
        assert await Worker("worker-0", its_own, inner).run() == 1
    assert await channel.receive() == Refused("good", "the disk is full")
    assert await channel.receive() is None
    await channel.close()


async def test_the_second_look_comes_when_the_watch_can_have_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that comes before the watch does would be lost."""
    imported = threading.Event()
    looked = asyncio.Event()

    async def changes(files: Sequence[Path]) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    def slowly() -> Changes:
        imported.wait()
        return changes

    async def report(self: Control, *, asked: bool) -> None:
        looked.set()

    monkeypatch.setattr(control, "_import_watch", slowly)
    monkeypatch.setattr(control, "_SECOND_LOOK", 0.0)
    monkeypatch.setattr(Control, "_report", report)
    ours, theirs = socket.socketpair()
    with theirs:
        channel = await Channel.over(ours)
        process = Control("control", channel, tmp_path / "config.yaml", None)
        process._watch([tmp_path / "config.yaml"])
        await asyncio.sleep(0.05)
        seen_early = looked.is_set()
        imported.set()
        async with asyncio.timeout(5):
            await looked.wait()
        await process._tasks.cancel()
        await channel.close()
    assert not seen_early
