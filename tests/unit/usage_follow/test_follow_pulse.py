"""Pulses: what a worker writes of itself, and which of them count."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.base.clock import wall
from proxy.base.jsonio import dumps
from proxy.usage import pulse as pulse_module
from proxy.usage.pulse import STALE, Pulse, beat, pulses


def pulse(worker: str = "worker-0", at: float | None = None) -> Pulse:
    return Pulse(
        worker=worker,
        pid=7,
        at=wall() if at is None else at,
        config="abc",
        in_flight=3,
        loop_lag=0.01,
        spool_failing=False,
        spool_lost=0,
        spool_waiting=0,
    )


def put(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_bytes(content)


async def beating(folder: Path, takes: list[Pulse]) -> list[float]:
    """Let it beat once for each pulse; the lags that it measured."""
    lags: list[float] = []
    done = asyncio.Event()

    def take(lag: float) -> Pulse:
        lags.append(lag)
        if len(lags) > len(takes):
            done.set()
        return takes[min(len(lags), len(takes)) - 1]

    task = asyncio.get_running_loop().create_task(beat(folder, "worker-0", take))
    async with asyncio.timeout(10):
        await done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return lags


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse_module, "_BEAT", 0.01)


async def test_a_pulse_is_written_again_and_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first, second = pulse(), replace(pulse(), in_flight=9)
    lags = await beating(folder, [first, second])
    assert await asyncio.to_thread(lambda: list(pulses(folder))) == [second]
    assert all(0 <= lag < 5 for lag in lags)


async def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").write_bytes(b"no folder")
    await beating(tmp_path / "run", [pulse()])
    assert "the pulse cannot be written" in caplog.text


def test_each_living_worker_has_one(tmp_path: Path) -> None:
    expected = [pulse("worker-0"), pulse("worker-1")]
    for each in expected:
        put(tmp_path, each.worker, dumps(each))
    (tmp_path / "follower.state").write_bytes(b"{}")
    (tmp_path / "worker-2.123").write_bytes(dumps(pulse("worker-2")))  # Not ready yet.
    assert list(pulses(tmp_path)) == expected
    assert list(pulses(tmp_path / "nowhere")) == []


@pytest.mark.parametrize("age", [STALE + 1, 86400, -STALE - 1, -3600])
def test_a_pulse_of_another_time_is_of_a_worker_that_is_gone(tmp_path: Path, age: float) -> None:
    """Also one from the future: after a step back it would live as long as the step is."""
    put(tmp_path, "worker-0", dumps(pulse(at=wall() - age)))
    put(tmp_path, "worker-1", dumps(pulse("worker-1")))
    assert [each.worker for each in pulses(tmp_path)] == ["worker-1"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"1", b"{}", b'{"worker": 1}', b"\x00" * 99, b'{"nonsense": 2}']
)
def test_a_damaged_pulse_hides_no_other(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, "worker-0", content)
    put(tmp_path, "worker-1", dumps(pulse("worker-1")))
    put(tmp_path, "worker-2", dumps(pulse("worker-2")).replace(b'"at":', b'"at":"x","config":'))
    assert [each.worker for each in pulses(tmp_path)] == ["worker-1"]
