"""An `initdb` for a user without a name: `docker --user 12345`, a random uid of a cluster.

The server runs as any number, but initdb, and the server while it makes a cluster, ask the C
library for the name that belongs to their uid and end when there is none. They use it for nothing,
as we give them a name (`-U`); still no option avoids that. So copies of both ask for *some* name
instead: in a copy's list of imported functions `getpwuid` reads `getpwent`, which returns the first
user there is. Same length, same result type, on every processor. The rest is linked to, not copied.
"""

import shutil
from pathlib import Path

from proxy.stores.postgres.programs import NoPostgres, Programs

_ASK, _ASK_INSTEAD = b"\0getpwuid\0", b"\0getpwent\0"


def nameless_initdb(programs: Programs, into: Path) -> Path:
    """Make the copies below `into`, a folder that is made anew. Raises NoPostgres."""
    shutil.rmtree(into, ignore_errors=True)
    folder = _mirror(programs, into)
    for name in ("initdb", "postgres"):
        code = (programs.folder / name).read_bytes()
        if code.count(_ASK) != 1:
            raise NoPostgres(
                f"{programs.folder / name} needs a user with a name, and this one is a number "
                "alone: give it an entry in /etc/passwd, or set `store: postgresql://...`"
            )
        copy = folder / name
        copy.unlink()
        copy.write_bytes(code.replace(_ASK, _ASK_INSTEAD))
        copy.chmod(0o755)
    return folder / "initdb"


def _mirror(programs: Programs, into: Path) -> Path:
    """Folders like those of the programs, with links to all that is in them: libraries and data
    are found by the way from the program to them."""
    package = programs.package
    if package is None:
        source, here = programs.folder.parent, into / "postgres"
    else:
        source, here = package, into / package.name
        libraries = package.with_name(f"{package.name}.libs")
        _folder(into)
        (into / libraries.name).symlink_to(libraries)
    for part in (*programs.folder.relative_to(source).parts, ""):
        _folder(here)
        for each in source.iterdir():
            if each.name != part:
                (here / each.name).symlink_to(each)
        source, here = source / part, here / part
    return here


def _folder(path: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(0o755)  # Whatever the mask says: another user may be the one to run it.
