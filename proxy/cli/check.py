"""`llm-proxy check FILE`: validate a configuration and print the plan it resolves to."""

import os
import sys
from pathlib import Path

from proxy.base.redact import redact
from proxy.build.configuration import load
from proxy.build.plan import describe
from proxy.config.problems import ConfigError


def check(file: Path, environment: str | None) -> int:
    """Print the plan (exit code 0) or every problem with its place (exit code 2)."""
    try:
        snapshot = load(file, environment=environment)
    except ConfigError as error:
        sys.stderr.write(f"{redact(str(error))}\n")  # A key may stand where a name should.
        return 2
    try:
        sys.stdout.writelines(f"{line}\n" for line in describe(snapshot.settings))
        sys.stdout.flush()
    except BrokenPipeError:  # Whoever reads has seen enough, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
