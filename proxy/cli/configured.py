"""The configuration that a command works with: FILE, or ./config.yaml as `serve` takes it."""

import sys
from pathlib import Path

from proxy.base.redact import redact
from proxy.build.configuration import load
from proxy.config.problems import ConfigError
from proxy.config.settings import Settings

BAD_CONFIGURATION = 2
DEFAULT = Path("config.yaml")
_MISSING = "llm-proxy: there is no config.yaml here; name the configuration with --config FILE\n"


def settings_of(config: Path | None, environment: str | None) -> Settings | None:
    """The settings, or None when there are none to be had; then stderr has every reason."""
    if config is None and not DEFAULT.exists():
        sys.stderr.write(_MISSING)
        return None
    try:
        return load(config if config is not None else DEFAULT, environment=environment).settings
    except ConfigError as error:
        sys.stderr.write(f"{redact(str(error))}\n")
        return None
