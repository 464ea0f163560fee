"""Where a provider lives: scheme, host and port, read once from its base URL.

An origin is what connections are pooled by. It is checked strictly here, at the edge, so that the
hot path can put `host_header` into a request head without another look.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, a host (lower case, IPv6 without brackets) and a port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> tuple["Origin", str]:
        """The origin of a base URL and its path without a trailing slash ("" for the root).

        Raises ValueError in words an operator can act on; they never repeat credentials.
        """
        parts = urlsplit(url.strip())
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError("a base URL begins with http:// or https://")
        if "@" in parts.netloc:
            raise ValueError("a base URL holds no user name or password: use the key settings")
        if parts.query or parts.fragment:
            raise ValueError("a base URL has no query and no fragment")
        try:
            port = parts.port
        except ValueError:
            raise ValueError("the port of a base URL is a number from 1 to 65535") from None
        if port == 0:
            raise ValueError("the port of a base URL is a number from 1 to 65535")
        host = _ascii_host(parts.hostname or "")
        path = parts.path.rstrip("/")
        if not path.isascii() or any(c <= " " or c == "\x7f" for c in path):
            raise ValueError("the path of a base URL is percent-encoded ASCII")
        return cls(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme]), path

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def address(self) -> str:
        """`host:port`, for people and for CONNECT; IPv6 in brackets."""
        return f"{self._bracketed}:{self.port}"

    @property
    def host_header(self) -> bytes:
        """The value of Host: the port is left out when it is the scheme's own."""
        default = self.port == _DEFAULT_PORTS[self.scheme]
        return (self._bracketed if default else self.address).encode("ascii")

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def ip_literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address a host is, or None when it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _ascii_host(host: str) -> str:
    if not host:
        raise ValueError("a base URL names a host")
    if ":" in host:
        if ip_literal(host) is None:
            raise ValueError("the host of a base URL is not an IPv6 address")
        return host
    try:
        name = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        raise ValueError("the host of a base URL cannot be written as a DNS name") from None
    if not all(c.isalnum() or c in "-._" for c in name):
        raise ValueError("the host of a base URL has a character that no host name has")
    return name.lower()
