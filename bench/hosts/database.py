"""The PostgreSQL of `store: embedded`, on an address that other hosts reach; for this bench only.

It asks nobody for a password, and its network has no way out. Everything else is as it is served
below a data_dir, `fsync` too.
Run: `python -m bench.hosts.database --folder FOLDER --host ADDRESS [--port N]`.
"""

import argparse
import asyncio
from pathlib import Path

from bench.service import announce, serve_for
from proxy.stores.postgres.cluster import DATABASE, USER
from proxy.stores.postgres.embedded import EmbeddedPostgres

PORT = 5432
MAX_CONNECTIONS = 100


def address(host: str, port: int = PORT) -> str:
    """What the hosts have as `store`."""
    return f"postgresql://{USER}:none@{host}:{port}/{DATABASE}"


async def _main(folder: Path, host: str, port: int, seconds: float) -> None:
    admitted = folder / "pg_hba.conf"
    admitted.write_text(f"local all all trust\nhost all all {host}/24 trust\n")
    admitted.chmod(0o644)
    settings = {
        "listen_addresses": host,
        "port": str(port),
        "hba_file": str(admitted),
        "max_connections": str(MAX_CONNECTIONS),
    }
    server = EmbeddedPostgres(folder, settings=settings)
    _ = await server.start()
    announce(port)
    await serve_for(seconds)
    await server.stop()


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.hosts.database", description=__doc__)
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--host", required=True)
    options.add_argument("--port", type=int, default=PORT)
    options.add_argument("--for", dest="seconds", type=float, default=600.0)
    given = options.parse_args()
    asyncio.run(_main(given.folder, given.host, given.port, given.seconds))


if __name__ == "__main__":
    main()
