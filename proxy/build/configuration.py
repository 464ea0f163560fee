"""Loading a configuration with all that can be known of it beforehand: its expressions, too."""

from pathlib import Path

from proxy.config.expressions import Fault, Judge
from proxy.config.load import load as load_judged
from proxy.config.snapshot import Snapshot
from proxy.routing.expression import CelMissing, ExpressionError, Expressions


def judge() -> Judge:
    """One that knows CEL once there is an expression: to load it takes time and memory."""
    known: list[Expressions] = []

    def judged(text: str) -> Fault | None:
        try:
            if not known:
                known.append(Expressions())
            known[0].compile(text)
        except CelMissing as error:
            return Fault(str(error))
        except ExpressionError as error:
            return Fault(error.reason, error.line, error.column)
        return None

    return judged


def load(path: Path, *, environment: str | None = None) -> Snapshot:
    """Load a configuration, expressions and all. Raises ConfigError."""
    return load_judged(path, environment=environment, judge=judge())
