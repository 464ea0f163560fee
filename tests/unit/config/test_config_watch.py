"""A change is seen however it is made; a neighbour's change is not.

The second look is switched off (an hour) where a test shows that the event itself is seen, and made
short where it shows that the second look suffices.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from proxy.config.watch import changes

HOUR = 3600.0
QUIET = 0.4


class Watched:
    """An iterator over changes of which one step is always under way."""

    def __init__(self, files: list[Path], second_look: float) -> None:
        iterator = changes(files, second_look=second_look)
        self._iterator = cast("AsyncGenerator[None]", iterator)
        self._step = self._begin()

    def _begin(self) -> "asyncio.Task[None]":
        async def step() -> None:
            await anext(self._iterator)

        return asyncio.get_running_loop().create_task(step())

    async def seen(self, within: float = 10) -> bool:
        """Whether a change is seen in time; then the next step begins."""
        await asyncio.wait([self._step], timeout=within)
        if not self._step.done():
            return False
        await self._step
        self._step = self._begin()
        return True

    async def seen_after(self, change: Callable[[int], None]) -> bool:
        """Whether `change` is seen. Made anew: one may come before the first look."""
        for number in range(20):
            await asyncio.to_thread(change, number)
            if await self.seen(within=0.5):
                return True
        return False

    async def settle(self) -> None:
        while await self.seen(within=QUIET):
            pass

    async def close(self) -> None:
        self._step.cancel()
        await asyncio.gather(self._step, return_exceptions=True)
        await self._iterator.aclose()


@asynccontextmanager
async def watching(*files: Path, second_look: float = HOUR) -> AsyncIterator[Watched]:
    watched = Watched(list(files), second_look)
    try:
        async with asyncio.timeout(30):
            yield watched
    finally:
        await watched.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("first")
    return path


async def test_a_plain_write_is_seen(config: Path) -> None:
    async with watching(config) as watched:
        assert await watched.seen_after(lambda number: _write(config, str(number)))


async def test_an_atomic_rename_is_seen(config: Path) -> None:
    def replace(number: int) -> None:
        new = config.with_suffix(".new")
        new.write_text(str(number))
        new.replace(config)

    async with watching(config) as watched:
        assert await watched.seen_after(replace)


async def test_a_configmap_swap_is_seen_again_and_again(tmp_path: Path) -> None:
    """As the kubelet does it: a new directory, a new link, one rename, the old one removed."""

    def swap(content: str) -> None:
        old = (tmp_path / "..data").resolve()
        new = tmp_path / f"..{content}"
        new.mkdir()
        (new / "config.yaml").write_text(content)
        (tmp_path / "..data_tmp").symlink_to(new.name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        if old != tmp_path / "..data":
            shutil.rmtree(old)

    swap("start")
    path = tmp_path / "config.yaml"
    path.symlink_to("..data/config.yaml")
    async with watching(path) as watched:
        assert await watched.seen_after(lambda number: swap(f"early-{number}"))
        for number in range(3):
            await watched.settle()
            await asyncio.to_thread(swap, f"late-{number}")
            assert await watched.seen()


async def test_the_target_of_a_link_elsewhere_is_watched(tmp_path: Path) -> None:
    real, linked = tmp_path / "real", tmp_path / "linked"
    for folder in (real, linked):
        folder.mkdir()
    (real / "a.yaml").write_text("first")
    (linked / "config.yaml").symlink_to(real / "a.yaml")
    async with watching(linked / "config.yaml") as watched:
        assert await watched.seen_after(lambda number: _write(real / "a.yaml", str(number)))


async def test_going_and_coming_are_changes(config: Path) -> None:
    async with watching(config) as watched:
        assert await watched.seen_after(lambda number: _write(config, str(number)))
        await watched.settle()
        await asyncio.to_thread(config.unlink)
        assert await watched.seen()
        await asyncio.to_thread(_write, config, "back")
        assert await watched.seen()


async def test_every_file_is_watched(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "sub" / "other.yaml"
    other.parent.mkdir()
    async with watching(config, other) as watched:
        assert await watched.seen_after(lambda number: _write(other, str(number)))


async def test_neighbours_and_equal_content_are_silent(config: Path, tmp_path: Path) -> None:
    async with watching(config) as watched:
        assert await watched.seen_after(lambda number: _write(config, str(number)))
        await watched.settle()
        await asyncio.to_thread(_write, config, "same")
        assert await watched.seen()
        await asyncio.to_thread(_write, tmp_path / "neighbour", "x")
        await asyncio.to_thread(_write, config, "same")
        await asyncio.to_thread(os.utime, config)
        assert not await watched.seen(within=QUIET)
        await asyncio.to_thread(_write, config, "another")
        assert await watched.seen()


async def test_a_burst_is_a_few_changes(config: Path) -> None:
    def burst() -> None:
        for number in range(50):
            _write(config, f"burst {number}")

    async with watching(config) as watched:
        assert await watched.seen_after(lambda number: _write(config, str(number)))
        await watched.settle()
        await asyncio.to_thread(burst)
        changes_seen = 0
        while await watched.seen(within=QUIET):
            changes_seen += 1
        assert 1 <= changes_seen < 10


async def test_without_watches_the_second_look_is_all_there_is(
    config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def exhausted(*_paths: Path, **_options: object) -> AsyncGenerator[None]:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("proxy.config.watch.awatch", exhausted)
    async with watching(config, second_look=0.05) as watched:
        assert await watched.seen_after(lambda number: _write(config, str(number)))
    assert "OS file watch limit reached" in caplog.text


async def test_a_replaced_directory_is_found_by_the_second_look(tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    folder.mkdir()
    path = folder / "config.yaml"
    path.write_text("first")

    def replace(number: int) -> None:
        folder.rename(tmp_path / f"old-{number}")
        folder.mkdir()
        path.write_text(str(number))

    async with watching(path, second_look=0.1) as watched:
        assert await watched.seen_after(replace)
        await watched.settle()
        await asyncio.to_thread(_write, path, "in the new directory")
        assert await watched.seen()


async def test_closing_ends_it_at_once(config: Path) -> None:
    loop = asyncio.get_running_loop()
    watched = Watched([config], HOUR)
    assert await watched.seen_after(lambda number: _write(config, str(number)))
    began = loop.time()
    await watched.close()
    assert loop.time() - began < 2
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others


async def test_a_consumer_that_leaves_at_the_yield_ends_it(config: Path) -> None:
    iterator = cast("AsyncGenerator[None]", changes([config], second_look=0.1))
    step = asyncio.get_running_loop().create_task(_next(iterator))
    number = 0
    while not step.done():
        number += 1
        await asyncio.to_thread(_write, config, str(number))
        await asyncio.wait([step], timeout=0.3)
    await iterator.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)


async def _next(iterator: AsyncGenerator[None]) -> None:
    await anext(iterator)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
