"""The files of a private PostgreSQL: where they lie, who holds them, what a crash left behind.

    <data_dir>/postgres/data        the cluster; it appears whole or not at all
    <data_dir>/postgres/owner       locked by the process that runs the server, for its life
    <data_dir>/postgres/running     locked by every process of the server, inherited from the first
    <data_dir>/postgres/socket      the socket's folder, unless that path is too long for a socket

Process ids say little after a crash: they are reused, above all in containers. A lock says exactly
whether any process of the server still lives, so whoever has `running` may clear away the rest.
"""

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from proxy.stores.postgres.account import Account
from proxy.stores.postgres.programs import NoPostgres

USER = DATABASE = "llm_proxy"
_LONGEST_SOCKET = 100
_SHORT = Path("/tmp")  # As PostgreSQL itself by default: it is short and everybody may enter it.
_PREFIX = "llm-proxy-pg-"
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "max_wal_size": "512MB",
    "fsync": "on",
    "jit": "off",
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",  # A statement may hold what a caller wrote.
}
# A client that gave up must not wait on in a queue for a lock, holding others.
_SINCE_15 = {"client_connection_check_interval": "1s"}
_SINCE_18 = {"io_method": "sync"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The folder `postgres` below a data_dir."""

    root: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def unfinished(self) -> Path:
        return self.root / "data.new"

    @property
    def nameless(self) -> Path:
        """Where an initdb for a user without a name is put."""
        return self.root / "initdb"

    def prepare(self) -> None:
        """Make the folder."""
        self.root.mkdir(parents=True, exist_ok=True)

    def major(self) -> int | None:
        """The major version that made the data, if there is data."""
        try:
            return int((self.data / "PG_VERSION").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise NoPostgres(f"{self.data} cannot be read as PostgreSQL's data: {error}") from error

    def begin(self) -> Path:
        """An empty folder for new data, the account's own."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        self.unfinished.mkdir(mode=0o700)
        self.account.give(self.unfinished)
        return self.unfinished

    def copy(self, template: Path) -> None:
        """New data, copied from a cluster that was stopped."""
        shutil.copytree(template, self.begin(), dirs_exist_ok=True, symlinks=True)
        for folder, _, names in os.walk(self.unfinished):
            for path in (Path(folder), *(Path(folder, name) for name in names)):
                self.account.give(path)

    def finish(self) -> None:
        """The new data is whole."""
        self.unfinished.rename(self.data)
        folder = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def own(self) -> int | None:
        """The lock of whoever runs the server, ours now, with our process id in the file; or None
        when another process has it."""
        if (descriptor := self.lock("owner")) is not None:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d" % os.getpid(), 0)
        return descriptor

    def owner(self) -> str:
        """The process id that the owner wrote down."""
        return (self.root / "owner").read_text(encoding="ascii", errors="replace")[:20] or "?"

    def lock(self, name: str) -> int | None:
        """The descriptor of a lock that is ours now, or None when another process has it."""
        descriptor = os.open(self.root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def tell_orphan(self, number: signal.Signals) -> None:
        """Signal the server that outlived its parent; only with `owner` locked by us."""
        lines = self._noted()
        pid = int(lines[0]) if lines and lines[0].isdecimal() else 0
        if pid and self._serves(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def clear(self, before: Path | None) -> Path:
        """Remove what a dead server left and make the socket's folder; only with `running` ours.

        `before`: the folder of our last server, which keeps its place, so that its address holds.
        A pid file of a server that somebody started by hand is left, and refuses ours by itself.
        """
        lines = self._noted()
        if not (lines and lines[0].isdecimal() and self._serves(int(lines[0]))):
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        if before is not None:
            for left in before.iterdir():
                left.unlink()
            return before
        if len(lines) > 4 and Path(lines[4]).name.startswith(_PREFIX):
            shutil.rmtree(lines[4], ignore_errors=True)
        folder = self.root / "socket"
        shutil.rmtree(folder, ignore_errors=True)
        if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) > _LONGEST_SOCKET:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHORT))
        else:
            folder.mkdir(mode=0o700)
        self.account.give(folder)
        return folder

    def command(self, sockets: Path, major: int, extra: Mapping[str, str]) -> Sequence[str]:
        """Arguments of `postgres`: nothing depends on a file that somebody may have edited."""
        settings = _SETTINGS | (_SINCE_15 if major >= 15 else {})
        settings |= (_SINCE_18 if major >= 18 else {}) | dict(extra)
        settings["unix_socket_directories"] = str(sockets)
        pairs = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return ["-D", str(self.data), *pairs]

    def _noted(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _serves(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self.data.resolve()
        except FileNotFoundError:
            # Without /proc the lock alone tells; a dead process has no folder.
            return not Path("/proc/self").exists()
        except PermissionError:
            return False


def address(sockets: Path | str, database: str = DATABASE) -> str:
    """The URL of the server whose socket lies there."""
    # The server asks for no password; with one in the URL nobody looks for it in the user's home.
    return f"postgresql://{USER}:none@/{database}?host={quote(str(sockets), safe='/')}"


def running_address(data_dir: Path) -> str | None:
    """The URL of the private server of a data_dir, if one has been started there: for commands
    that run beside the service."""
    try:
        lines = (data_dir / "postgres/data/postmaster.pid").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, PermissionError):
        return None
    return address(lines[4]) if len(lines) > 4 and lines[4] else None
