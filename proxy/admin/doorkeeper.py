"""Who may use the admin API: whoever has `admin.key`, or a virtual key with the role `admin`.

Without `admin.key` the API is off for everybody. A key of the configuration or of the store must be
good for a call too: not blocked, not expired, from an address that it may come from, of no team
that is blocked or deleted. Whoever makes keys up has two connections to the store and no more, and
never stands in the way of `admin.key`.
"""

import asyncio
import hmac
import logging
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol

from proxy.base.clock import wall
from proxy.base.errors import AccessDenied, NotAuthenticated, StoreUnavailable
from proxy.base.secret import Secret, fingerprint
from proxy.build.callers import caller
from proxy.config.callers import VirtualKey
from proxy.config.settings import Settings
from proxy.core.accounting import StoreAway
from proxy.core.identity import IdentityStore, StoredKey

log = logging.getLogger("llm-proxy.admin")

_ROLE = "role:admin"
_AT_ONCE, _MOST_WAITING = 2, 64
_SEND = "send the admin key, or a key with the role admin, as `Authorization: Bearer <key>`"


class Doorkeeper(Protocol):
    """Lets in, or refuses."""

    async def actor(self, authorization: str, address: str | None) -> str:
        """What the audit log calls whoever sends this header. Raises AccessDenied,
        NotAuthenticated, StoreUnavailable."""


class KeyOnly:
    """Lets in whoever has the admin key. `key`: that in force."""

    def __init__(self, key: Callable[[], Secret | None]) -> None:
        self._key = key

    async def actor(self, authorization: str, address: str | None) -> str:
        if not is_admin_key(_bearer(authorization), self._key()):
            raise NotAuthenticated(_SEND)
        return "admin.key"


class KeyOrRole:
    """Lets in admin-role keys as well."""

    def __init__(self, settings: Callable[[], Settings], store: IdentityStore) -> None:
        self._settings = settings
        self._store = store
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def actor(self, authorization: str, address: str | None) -> str:
        settings, given = self._settings(), _bearer(authorization)
        if is_admin_key(given, settings.admin.key):
            return "admin.key"
        hash_ = fingerprint(given)
        for key in settings.keys:
            if fingerprint(key.key.reveal()) == hash_:
                _admit(key, address)
                return f"{key.name} (configuration)"
        stored = await self._stored(hash_) if given and settings.store != "none" else None
        if stored is None:
            raise NotAuthenticated(_SEND)
        _admit(VirtualKey.model_validate(stored.document), address)
        return f"{stored.name} ({stored.id})"

    async def _stored(self, hash_: bytes) -> StoredKey | None:
        if self._waiting >= _MOST_WAITING:
            raise _unknown_now()
        self._waiting += 1
        try:
            async with self._places:
                return await self._store.key_by_hash(hash_)
        except StoreAway as error:
            # Whoever asks is nobody yet: the reason, which may name hosts, is for the log.
            log.info("a key cannot be looked up: %s", error)
            raise _unknown_now() from error
        finally:
            self._waiting -= 1


def _unknown_now() -> StoreUnavailable:
    return StoreUnavailable(
        "whose key this is cannot be looked up now", headers=((b"retry-after", b"5"),)
    )


def is_admin_key(given: str, key: Secret | None) -> bool:
    """Whether it is the admin key. Raises AccessDenied where there is none."""
    if key is None:
        raise AccessDenied(
            "the admin API is off: set `admin.key` in the configuration", code="admin_off"
        )
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.reveal().encode())


def _bearer(authorization: str) -> str:
    scheme, _, given = authorization.partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def _admit(key: VirtualKey, address: str | None) -> None:
    who = caller(key)
    expired = who.expires is not None and wall() >= who.expires
    if who.blocked or expired or not _from_there(who.networks, address):
        raise NotAuthenticated(_SEND)
    if _ROLE not in who.roles:
        raise AccessDenied(
            "this key has not the role `admin`; use `admin.key`, or give it that role"
        )


def _from_there(networks: tuple[IPv4Network | IPv6Network, ...], address: str | None) -> bool:
    if not networks:
        return True
    try:
        here = ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    plain = getattr(here, "ipv4_mapped", None) or here  # An IPv6 socket says so of IPv4 callers.
    return any(plain in network for network in networks)
