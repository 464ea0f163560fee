"""Which forward proxy, if any, leads to an origin: HTTPS_PROXY, HTTP_PROXY and NO_PROXY.

The strings are given, the environment is read elsewhere. https origins are reached by CONNECT with
TLS inside; http origins by requests in absolute form. Credentials of the proxy's URL become a
ready-made header value wrapped in Secret: nothing here prints them.

NO_PROXY is a list separated by commas or blanks. An entry is `*`, a name (itself and all below it),
`.name` or `*.name` (only what is below), an address, a CIDR block, each also with `:port`.
"""

import base64
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from proxy.base.secret import Secret
from proxy.upstream.origin import Origin, ip_literal

_DEFAULT_PORT = 80


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """The three strings as the operator wrote them; None or "" means unset."""

    https: str | None = field(default=None, repr=False)
    http: str | None = field(default=None, repr=False)
    no_proxy: str | None = None


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A forward proxy: where it listens and what it wants to hear."""

    origin: Origin
    authorization: Secret | None = None

    @classmethod
    def parse(cls, url: str) -> "ProxyRoute":
        """Read `http://[user:password@]host[:port]`; the scheme may be left out.

        Raises ValueError; its words never repeat the URL, which may hold a password.
        """
        text = url.strip()
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme != "http":
            raise ValueError("a proxy URL begins with http:// (other kinds are not supported)")
        where = parts.netloc.rpartition("@")[2]
        if ":" not in where.rpartition("]")[2]:
            where = f"{where}:{_DEFAULT_PORT}"
        try:
            origin, _ = Origin.parse(f"http://{where}")
        except ValueError:
            raise ValueError("a proxy URL is http://[user:password@]host[:port]") from None
        return cls(origin, _authorization(parts.username, parts.password))


def choose(origin: Origin, settings: ProxySettings) -> ProxyRoute | None:
    """The proxy for this origin, or None for a direct connection. Raises ValueError."""
    url = settings.https if origin.secure else settings.http
    if not url or not url.strip() or _exempt(origin, settings.no_proxy or ""):
        return None
    return ProxyRoute.parse(url)


def _authorization(user: str | None, password: str | None) -> Secret | None:
    if user is None:
        return None
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return Secret(f"Basic {base64.b64encode(pair).decode('ascii')}")


def _exempt(origin: Origin, no_proxy: str) -> bool:
    entries = no_proxy.lower().replace(",", " ").split()
    return any(_matches(entry, origin) for entry in entries)


def _matches(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    pattern, port = _split_port(entry)
    if port is not None and port != str(origin.port):
        return False
    address = ip_literal(origin.host)
    if address is not None:
        return _holds(pattern, address)
    host = origin.host.rstrip(".")
    if pattern.startswith(("*.", ".")):
        return host.endswith(pattern.lstrip("*"))
    return host == pattern or host.endswith(f".{pattern}")


def _split_port(entry: str) -> tuple[str, str | None]:
    if entry.startswith("["):
        inside, _, rest = entry[1:].partition("]")
        return inside, rest[1:] or None
    if entry.count(":") == 1:
        pattern, _, port = entry.partition(":")
        return pattern, port
    return entry, None


def _holds(pattern: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False
