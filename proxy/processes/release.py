"""The version of this program, and whether its hot path is compiled, as it was installed."""

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec

NAME = "llm-proxy"


def release() -> str:
    """For example 0.1.0; "unknown" when the source runs without being installed."""
    # Read for one line of the log: not before anything is started.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version(NAME)
    except PackageNotFoundError:
        return "unknown"


def compiled() -> bool:
    """Whether this is a compiled wheel (hatch_build.py) and not plain Python."""
    spec = find_spec("proxy.core.exchange")  # Without loading it.
    return spec is not None and str(spec.origin).endswith(tuple(EXTENSION_SUFFIXES))
