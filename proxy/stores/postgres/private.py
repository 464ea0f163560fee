"""Whether there is a private PostgreSQL: asked by processes that have nothing else to do with it.

Apart from `cluster.py`, so that a worker loads nothing of how a server is found and started.
"""

from pathlib import Path


def has_data(data_dir: Path) -> bool:
    """Whether a private server was ever made there."""
    return (data_dir / "postgres/data/PG_VERSION").exists()
