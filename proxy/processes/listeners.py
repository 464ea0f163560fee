"""Binding the sockets that the workers accept on.

One socket per worker on the same port (SO_REUSEPORT): the kernel spreads connections, no lock. The
supervisor keeps every socket open, so connections that arrive while a worker is being restarted
wait in its queue instead of being refused.
"""

import socket
from typing import Any

_BACKLOG = 4096  # The kernel caps it at net.core.somaxconn.


class CannotListen(Exception):
    """The address is busy, not ours, or does not exist. The message is for the operator."""


def bind(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` listening sockets on one port; port 0 lets the kernel choose. Raises CannotListen."""
    bound: list[socket.socket] = []
    try:
        family, address = _resolve(host, port)
        if port:
            # A second proxy of the same user would share the port without an error, because both
            # ask for SO_REUSEPORT. A bind that does not ask finds the first one.
            _open(family, address, shared=False).close()
        for _ in range(count):
            bound.append(_open(family, address, shared=True))
            address = (address[0], bound[0].getsockname()[1], *address[2:])
        for listener in bound:
            listener.listen(_BACKLOG)
    except OSError as error:
        for listener in bound:
            listener.close()
        reason = error.strerror or str(error)
        raise CannotListen(f"cannot listen on {_join(host, port)}: {reason}") from error
    return bound


def url(listener: socket.socket, *, tls: bool) -> str:
    """What a client uses as `base_url`, if it can reach the address we listen on."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{_join(host, port)}/v1"


def _resolve(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # "localhost" may be both; IPv4 is what clients without a preference reach everywhere.
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, address


def _open(family: int, address: tuple[Any, ...], *, shared: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # "::" means every address of both families; some systems default to the other answer.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
