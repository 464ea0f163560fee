"""One resolved configuration: a runtime is built from the whole of it, never from a mix.

Control loads it and the supervisor hands it to the workers over private pipes, so that all run the
same even while files and variables change. `version` names the content: equal settings, equal
version.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.base.jsonio import dumps, loads, pretty
from proxy.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Settings, their version and every file that was read for them."""

    settings: Settings
    version: str
    files: tuple[Path, ...]

    @classmethod
    def of(cls, settings: Settings, files: tuple[Path, ...] = ()) -> "Snapshot":
        """The snapshot of settings; the version is worked out."""
        canonical = pretty(_revealed(settings))
        return cls(settings, hashlib.sha256(canonical).hexdigest()[:12], files)

    def dump(self) -> bytes:
        """All of it, secrets revealed: for a private pipe only."""
        files = [str(file) for file in self.files]
        return dumps(
            {"version": self.version, "files": files, "settings": _revealed(self.settings)}
        )

    @classmethod
    def parse(cls, data: bytes) -> "Snapshot":
        """What `dump` gave."""
        raw = loads(data)
        settings = Settings.model_validate(raw["settings"])
        return cls(settings, raw["version"], tuple(map(Path, raw["files"])))


def _revealed(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", context={"reveal": True})
