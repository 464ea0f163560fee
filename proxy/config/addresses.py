"""Where we listen and whom we call: addresses and URLs, checked once.

The same contract as `values.py`: parsers take their own result too, refusals show no value.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, StrictStr

from proxy.base.secret import Secret
from proxy.config.values import shown

_HOST = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_URL = re.compile(r"[!#-;=?-\[\]_a-z~]+")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0: the kernel chooses."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def address(value: object) -> Address:
    if isinstance(value, Address):
        return value
    text = value if isinstance(value, str) else ""
    host, _, port = text.rpartition(":")
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError("must be host:port such as 127.0.0.1:8080 or [::1]:8080")
    if not host:
        raise ValueError("must name the host too; 0.0.0.0:PORT listens everywhere")
    if host.startswith("[") and host.endswith("]") and _is_ipv6(host[1:-1]):
        return Address(host[1:-1], int(port))
    if not _HOST.fullmatch(host):
        raise ValueError("must be host:port; an IPv6 address goes in brackets, as in [::1]:8080")
    return Address(host, int(port))


def base_url(value: object) -> str:
    """An http(s) URL without credentials, query or fragment; no slash at its end."""
    if value == "":
        return ""  # Of a kind that calls nobody.
    text = value if isinstance(value, str) else ""
    parts = _split(text, ("http", "https"))
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; use `api_keys` or `headers`")
    if "?" in text or "#" in text:
        raise ValueError("must not have a query or fragment")
    return text.rstrip("/")


def proxy_url(value: object) -> Secret:
    """A forward proxy's URL; it may hold a user and password, so it is secret."""
    text = value.reveal() if isinstance(value, Secret) else value if isinstance(value, str) else ""
    if text and "://" not in text:
        text = f"http://{text}"
    parts = _split(text, ("http",))
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise ValueError("must be a URL such as http://proxy:3128, without a path")
    return Secret(text.rstrip("/"))


def hosts(value: object) -> object:
    """A list of hosts, or one text with commas as in NO_PROXY."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _split(text: str, schemes: tuple[str, ...]) -> SplitResult:
    if not _URL.fullmatch(text):
        raise ValueError("must be a URL in visible ASCII, such as https://host/path")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("must be a URL with a valid host and port") from None
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(f'{s}://' for s in schemes)}")
    host = parts.hostname or ""
    if port == 0 or not (_HOST.fullmatch(host) or _is_ipv6(host)):
        raise ValueError("must be a URL with a valid host and port")
    return parts


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


Listen = Annotated[Address, PlainValidator(address), PlainSerializer(str)]
BaseUrl = Annotated[StrictStr, BeforeValidator(base_url)]
ProxyUrl = Annotated[Secret, PlainValidator(proxy_url), PlainSerializer(shown)]
Hosts = Annotated[tuple[StrictStr, ...], BeforeValidator(hosts)]
