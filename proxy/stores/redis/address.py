"""Where Redis is: a URL, read once.

    redis://user:password@host:6379/0         rediss://…            TLS
    unix:///run/redis.sock?db=0               redis+cluster://host:7000,host:7001
    redis+sentinel://host:26379,host:26379/service/0                rediss+… with TLS

User and password are those of the server that counts; sentinels are asked without.
"""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from proxy.base.secret import Secret

Kind = Literal["single", "sentinel", "cluster"]

_KINDS: dict[str, tuple[Kind, int]] = {
    "redis": ("single", 6379),
    "redis+sentinel": ("sentinel", 26379),
    "redis+cluster": ("cluster", 6379),
}


class BadAddress(ValueError):
    """The URL cannot be used. The message says why, and shows no password."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server: a host and port, or the path of a socket."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


@dataclass(frozen=True, slots=True)
class Address:
    """What the URL says."""

    kind: Kind
    endpoints: tuple[Endpoint, ...]
    tls: bool = False
    user: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    database: int = 0
    service: str = ""


def parse(url: str) -> Address:
    """The address in a URL. Raises BadAddress."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadAddress("the Redis URL cannot be read") from error
    if parts.scheme == "unix":
        number = parse_qs(parts.query).get("db", ["0"])[-1]
        user, password = _credentials(parts.netloc)
        if not parts.path:
            raise BadAddress("a unix:// URL needs the path of a socket")
        endpoint = Endpoint(unquote(parts.path), 0)
        return Address("single", (endpoint,), False, user, password, _database(number))
    first, _, _ = parts.scheme.partition("+")
    secure = first == "rediss"
    scheme = "redis" + parts.scheme[len(first) :]
    if first not in {"redis", "rediss"} or scheme not in _KINDS:
        raise BadAddress(
            "a Redis URL begins with redis://, rediss://, unix://, redis+sentinel:// or "
            f"redis+cluster://, not {parts.scheme}://"
        )
    kind, port = _KINDS[scheme]
    user, password = _credentials(parts.netloc)
    endpoints = tuple(_endpoint(each, port) for each in parts.netloc.rpartition("@")[2].split(","))
    if kind == "single" and len(endpoints) > 1:
        raise BadAddress("several hosts need redis+sentinel:// or redis+cluster://")
    service, database = _path(kind, parts.path)
    return Address(kind, endpoints, secure, user, password, database, service)


def _path(kind: Kind, path: str) -> tuple[str, int]:
    words = [unquote(word) for word in path.split("/") if word]
    service = ""
    if kind == "sentinel":
        if not words:
            raise BadAddress("a redis+sentinel:// URL names the service: …/mymaster")
        service = words.pop(0)
    if len(words) > 1:
        raise BadAddress(f"`{path}` is not the number of a database")
    database = _database(words[0]) if words else 0
    if kind == "cluster" and database:
        raise BadAddress("Redis Cluster has database 0 only")
    return service, database


def _credentials(netloc: str) -> tuple[str, Secret]:
    user, _, password = netloc.rpartition("@")[0].partition(":")
    return unquote(user), Secret(unquote(password))


def _endpoint(text: str, port: int) -> Endpoint:
    try:
        parts = urlsplit(f"//{text}")
        return Endpoint(parts.hostname or "localhost", parts.port or port)
    except ValueError as error:
        raise BadAddress(f"`{text}` is not host:port") from error


def _database(text: str) -> int:
    if not text.isdecimal():
        raise BadAddress(f"`{text}` is not the number of a database")
    return int(text)
