"""`llm-proxy serve`: run the supervisor until it is told to stop.

The configuration is read by control, not here, so that this process stays small for as long as
it lives.
"""

import asyncio
import sys
from pathlib import Path

from proxy.processes.supervisor import BAD_CONFIGURATION, Supervisor

_DEFAULT = Path("config.yaml")
_MISSING = """\
llm-proxy: no configuration: there is no config.yaml here and no --config FILE was given.
Start from config.example.yaml, which needs no key and no network:
    llm-proxy serve --config config.example.yaml
"""


def serve(config: Path | None, environment: str | None) -> int:
    """Serve `config`, or ./config.yaml, and return the exit code."""
    if config is None:
        if not _DEFAULT.exists():
            sys.stderr.write(_MISSING)
            return BAD_CONFIGURATION
        config = _DEFAULT
    return asyncio.run(_supervise(config, environment))


async def _supervise(config: Path, environment: str | None) -> int:
    return await Supervisor(config, environment).run()
