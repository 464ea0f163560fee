"""The version of this program, as it was installed."""

NAME = "llm-proxy"


def release() -> str:
    """For example 0.1.0; "unknown" when the source runs without being installed."""
    # Read for one line of the log: not before anything is started.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version(NAME)
    except PackageNotFoundError:
        return "unknown"
