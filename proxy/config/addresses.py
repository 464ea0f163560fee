"""Where we listen and whom we call: addresses and URLs, checked once.

The same contract as `values.py`: parsers take their own result too, refusals show no value.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    StrictStr,
)

from proxy.base.secret import Secret
from proxy.config.values import shown

_HOST = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_STORE_HOST = re.compile(r"(\[[^\[\]]*\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
_STORE_SCHEMES = ("postgresql", "postgres")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_URL = re.compile(r"[!#-;=?-\[\]_a-z~]+")


StoreWord = Literal["embedded", "none"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0: the kernel chooses."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


API = Address("127.0.0.1", 8080)
ADMIN = Address("127.0.0.1", 8081)


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
    return _plain_url(value, "`api_keys` or `headers`")


def collector_url(value: object) -> str:
    """An OTLP collector's base URL; the paths of the signals are added to it."""
    url = _plain_url(value, "`headers`")
    if url.endswith(("/v1/traces", "/v1/metrics", "/v1/logs")):
        raise ValueError("must be the base URL; /v1/traces and /v1/metrics are added to it")
    return url


def _plain_url(value: object, instead: str) -> str:
    text = value if isinstance(value, str) else ""
    parts = _split(text, ("http", "https"))
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"must not hold a user or password; use {instead}")
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


def webhook_url(value: object) -> Secret:
    """Where a webhook is received. Often its path or query is what lets us in, so it is secret."""
    text = value.reveal() if isinstance(value, Secret) else value if isinstance(value, str) else ""
    parts = _split(text, ("http", "https"))
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; `secret` signs what is sent")
    if "#" in text:
        raise ValueError("must not have a fragment")
    return Secret(text)


def store(value: object) -> Secret | StoreWord:
    """`embedded`, `none`, or the URL of a PostgreSQL database as libpq reads it."""
    if value == "embedded":
        return "embedded"
    if value == "none":
        return "none"
    text = value.reveal() if isinstance(value, Secret) else value if isinstance(value, str) else ""
    scheme, found, _ = text.partition("://")
    if not found:
        raise ValueError(
            "must be embedded, none, or a URL such as postgresql://user:password@host/name"
        )
    if scheme not in _STORE_SCHEMES:
        raise ValueError("must be embedded, none, or begin with postgresql:// or postgres://")
    if not _URL.fullmatch(text) or "#" in text or _BAD_ESCAPE.search(text):
        raise ValueError("must be a URL in visible ASCII; in a password write %XX for the rest")
    if not _store_parts(text):
        raise ValueError(
            "must be a URL with a valid host and port; "
            "in a password write `@`, `/`, `?`, `[` and `]` as %XX, and a host in `[]` first"
        )
    return Secret(text)


def _store_parts(text: str) -> bool:
    """Whether a database URL can be taken apart, by asyncpg as well, and names where the database
    is. Since it heeds CVE-2025-0938 `urlsplit` takes brackets around the first host only."""
    try:
        parts = urlsplit(text)
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        return False
    where = parts.netloc.rpartition("@")[2]
    if not where:
        return bool(query.get("host"))
    return all(map(_is_store_host, where.split(",")))


def _is_store_host(text: str) -> bool:
    match = _STORE_HOST.fullmatch(text)
    if match is None:
        return False
    host, port = match.groups()
    return (host[0] != "[" or _is_ipv6(host[1:-1])) and 0 < int(port or 5432) <= 65535


def shown_store(value: Secret | StoreWord, info: SerializationInfo[Any]) -> str:
    return shown(value, info) if isinstance(value, Secret) else value


def redis_url(value: object) -> Secret:
    """The URL of a Redis server, a Sentinel group or a cluster."""
    text = value.reveal() if isinstance(value, Secret) else value if isinstance(value, str) else ""
    scheme, found, rest = text.partition("://")
    if not found or scheme not in _REDIS_SCHEMES:
        raise ValueError(
            "must be a URL such as redis://:password@host:6379/0, rediss:// (TLS), unix://, "
            "redis+sentinel:// or redis+cluster://"
        )
    where = rest.partition("?")[0].rpartition("@")[2]
    if not _URL.fullmatch(text) or _BAD_ESCAPE.search(text) or not where.strip("/"):
        raise ValueError("must be a URL in visible ASCII that names a host")
    hosts = where.partition("/")[0].split(",")
    if scheme != "unix" and not all(_is_store_host(host) for host in hosts):
        raise ValueError("must be a URL with a valid host and port")
    return Secret(text)


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
CollectorUrl = Annotated[StrictStr, BeforeValidator(collector_url)]
Store = Annotated[Secret | StoreWord, PlainValidator(store), PlainSerializer(shown_store)]
BaseUrl = Annotated[StrictStr, BeforeValidator(base_url)]
WebhookUrl = Annotated[Secret, PlainValidator(webhook_url), PlainSerializer(shown)]
RedisUrl = Annotated[Secret, PlainValidator(redis_url), PlainSerializer(shown)]
ProxyUrl = Annotated[Secret, PlainValidator(proxy_url), PlainSerializer(shown)]
Hosts = Annotated[tuple[StrictStr, ...], BeforeValidator(hosts)]
