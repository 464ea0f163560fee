"""What the supervisor and its children say to each other, and its form in bytes.

    supervisor → worker      Configure, Drain
    worker → supervisor      Ready, Refused, Leaving
    supervisor → control     Reload, Drain
    control → supervisor     Loaded, Invalid

A frame is two big-endian lengths of four bytes, a JSON head and a payload of raw bytes. Both ends
are the same release of this program, so an unknown message is a bug and raises.
"""

import struct
from dataclasses import asdict, dataclass

from proxy.base import jsonio

PREFIX = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class Layout:
    """What the supervisor must know of a configuration: it reads none itself, so it stays small."""

    host: str
    port: int
    tls: tuple[str, str] | None
    workers: int
    drain: float
    log_level: str
    log_format: str
    accounting: str  # A digest of where records are kept and told: `store` may hold a password.
    http_server: str = "httptools"

    def fixed_since(self, older: "Layout") -> list[str]:
        """The names of the settings that differ from `older` and cannot change while we run."""
        changed = []
        if (self.host, self.port) != (older.host, older.port):
            changed.append("listen")
        if self.tls != older.tls:
            changed.append("tls")
        if self.workers != older.workers:
            changed.append("workers")
        if self.http_server != older.http_server:
            changed.append("http_server")
        if self.accounting != older.accounting:
            changed.append("store, data_dir or admin.listen")
        return changed


@dataclass(frozen=True, slots=True)
class Configure:
    """Build this snapshot and serve with it. Answered by Ready or Refused."""

    version: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Drain:
    """Take nothing new, finish what is in flight within `grace` seconds, exit."""

    grace: float


@dataclass(frozen=True, slots=True)
class Ready:
    """This snapshot serves."""

    version: str


@dataclass(frozen=True, slots=True)
class Refused:
    """This snapshot could not be built; what served before goes on."""

    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """This worker was told to end by somebody else and no longer accepts: start its successor."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Read the configuration again now and answer, changed or not."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, as the bytes of its snapshot."""

    version: str
    layout: Layout
    payload: bytes


@dataclass(frozen=True, slots=True)
class Invalid:
    """The configuration has problems: one per line of `reason`."""

    reason: str


Message = Configure | Drain | Ready | Refused | Leaving | Reload | Loaded | Invalid

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (Configure, Drain, Ready, Refused, Leaving, Reload, Loaded, Invalid)
}


def encode(message: Message) -> bytes:
    """The frame of `message`."""
    fields = asdict(message)
    payload: bytes = fields.pop("payload", b"")
    head = jsonio.dumps([type(message).__name__, fields])
    return PREFIX.pack(len(head), len(payload)) + head + payload


def decode(head: bytes, payload: bytes) -> Message:
    """The message of a frame whose prefix has been read."""
    name, fields = jsonio.loads(head)
    kind = _KINDS[name]
    if kind is Loaded:
        layout = fields["layout"]
        tls = layout.pop("tls")
        fields["layout"] = Layout(**layout, tls=tuple(tls) if tls else None)
    if kind in {Loaded, Configure}:
        fields["payload"] = payload
    return kind(**fields)
