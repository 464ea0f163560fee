"""Tells when a configuration file changed, however it was changed.

Directories are watched, not files: editors and deployments replace files by renaming, and
Kubernetes swaps a whole configmap through the symlink `..data`, which a watch on the file never
sees. After a burst of events the files are read and compared, so a neighbour's change stays silent.
A slow second look covers file systems without events and directories that were replaced; where
the system has no watches left, it is all there is.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

_STEP_MS = 200
"""How often what was heard is looked at: a change is told when a step brings no other after it, or
the second after it. Each is a waking of control, on a core that workers may want whole."""

log = logging.getLogger("llm-proxy.config")

_Directories = frozenset[tuple[Path, int]]
"""Paths and their inodes: a directory that was replaced is another."""


async def changes(files: Sequence[Path], *, second_look: float = 2.0) -> AsyncIterator[None]:
    """Yield whenever the content of one of `files` became another, or the file came or went.

    `second_look`: how often, in seconds, to compare though nothing was heard. Counts from the
    first `anext`. Close the iterator (`aclosing`) or cancel its task to end it.
    """
    seen = await asyncio.to_thread(_contents, files)
    while True:
        directories = await asyncio.to_thread(_directories, files)
        async with aclosing(_hints([path for path, _ in directories], second_look)) as hints:
            async for _ in hints:
                now = await asyncio.to_thread(_contents, files)
                if now != seen:
                    seen = now
                    yield
                if await asyncio.to_thread(_directories, files) != directories:
                    break


async def _hints(directories: Sequence[Path], second_look: float) -> AsyncGenerator[None]:
    """Yield when something may have happened in the directories, and now and then."""
    try:
        events = awatch(
            *directories,
            watch_filter=None,
            debounce=_STEP_MS,
            step=_STEP_MS,
            rust_timeout=int(second_look * 1000),
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        )
        async with aclosing(events):
            async for _ in events:
                yield
    except (OSError, RuntimeError) as error:  # RuntimeError: the base of what watchfiles raises.
        log.warning(
            "cannot watch the configuration (%s); looking at it every %g s instead",
            error,
            second_look,
        )
    while True:
        yield
        await asyncio.sleep(second_look)


def _contents(files: Sequence[Path]) -> tuple[bytes | None, ...]:
    return tuple(_content(file) for file in files)


def _content(file: Path) -> bytes | None:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return None  # Gone or unreadable: a state like any other, and a change when it ends.


def _directories(files: Sequence[Path]) -> _Directories:
    """Where each file is named and where it really lies; of what is missing, the nearest above."""
    return frozenset(
        _nearest_directory(parent)
        for file in files
        for parent in (file.absolute().parent, file.resolve().parent)
    )


def _nearest_directory(path: Path) -> tuple[Path, int]:
    for directory in (path, *path.parents):
        try:
            if directory.is_dir():
                return directory, directory.stat().st_ino
        except OSError:
            continue  # It went between the two calls, or may not be entered.
    return Path(path.anchor), 0
