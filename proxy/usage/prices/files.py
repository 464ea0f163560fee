"""Which catalogue is in force: the one that comes with the package, or a newer one in `data_dir`.

A site without a way out gets new prices as a file. It is validated whole before it is taken, and
put in place by a rename, so that no reader ever sees half of it.
"""

import logging
import os
from pathlib import Path

from proxy.base.jsonio import loads
from proxy.usage.prices.catalogue import BUNDLED, Catalogue, Unreadable, text_of
from proxy.usage.prices.validation import problems

log = logging.getLogger("llm-proxy.prices")

NAME = "prices.json"


class BadCatalogue(Exception):
    """A file that is no catalogue; `problems` says where and why."""

    def __init__(self, found: list[str]) -> None:
        super().__init__("\n".join(found))
        self.problems = found


def in_force(data_dir: Path | None = None) -> Catalogue:
    """The catalogue in `data_dir` if it is not older than the bundled one, else the bundled one."""
    bundled = Catalogue(BUNDLED.read_bytes())
    own = _own(data_dir) if data_dir is not None else None
    return own if own is not None and own.date >= bundled.date else bundled


def install(file: Path, data_dir: Path) -> Catalogue:
    """Take the catalogue in `file` into `data_dir`. Raises BadCatalogue, OSError."""
    given = file.read_bytes()
    if found := problems(given):
        raise BadCatalogue(found)
    text = text_of(loads(given))
    data_dir.mkdir(parents=True, exist_ok=True)
    partial = data_dir / f".{NAME}.{os.getpid()}"
    try:
        with partial.open("wb") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(data_dir / NAME)
    finally:
        partial.unlink(missing_ok=True)
    return Catalogue(text)


def _own(data_dir: Path) -> Catalogue | None:
    path = data_dir / NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s cannot be read, the bundled prices are used: %s", path, error)
        return None
    try:
        return Catalogue(text)
    except Unreadable as error:
        log.warning("%s is no catalogue, the bundled prices are used: %s", path, error)
        return None
