"""The version of this program, as it was installed."""

from importlib.metadata import PackageNotFoundError, version

NAME = "llm-proxy"


def release() -> str:
    """For example 0.1.0; "unknown" when the source runs without being installed."""
    try:
        return version(NAME)
    except PackageNotFoundError:
        return "unknown"
