"""The PostgreSQL of `store: embedded` for this bench, with `--host` on an address besides.

There it asks nobody for a password, and the network has no way out; else it is reached by its
socket alone. Everything else is as it is served below a data_dir, `fsync` too. Prints where it is.
Run: `python -m bench.hosts.database --folder FOLDER [--host ADDRESS]`.
"""

import argparse
import asyncio
from pathlib import Path

from bench.service import serve_for
from proxy.base.jsonio import dumps
from proxy.stores.postgres.cluster import DATABASE, USER
from proxy.stores.postgres.embedded import EmbeddedPostgres

_PORT = 5432  # By which `EmbeddedPostgres` finds its socket.


def address(host: str) -> str:
    """What the hosts have as `store`."""
    return f"postgresql://{USER}:none@{host}:{_PORT}/{DATABASE}"


def _settings(folder: Path, host: str) -> dict[str, str]:
    admitted = folder / "pg_hba.conf"
    admitted.write_text(f"local all all trust\nhost all all {host}/24 trust\n")
    admitted.chmod(0o644)
    return {"listen_addresses": host, "hba_file": str(admitted)}


async def _main(folder: Path, host: str | None, seconds: float) -> None:
    settings = _settings(folder, host) if host is not None else {}
    server = EmbeddedPostgres(folder, settings=settings)
    print(dumps({"store": await server.start()}).decode(), flush=True)
    await serve_for(seconds)
    await server.stop()


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.hosts.database", description=__doc__)
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--host")
    options.add_argument("--for", dest="seconds", type=float, default=600.0)
    given = options.parse_args()
    asyncio.run(_main(given.folder, given.host, given.seconds))


if __name__ == "__main__":
    main()
