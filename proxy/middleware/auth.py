"""Whose request it is: a virtual key, compared as SHA-256, or the bearer of a signed token.

The key may come as `Authorization: Bearer` (OpenAI), `x-api-key` (Anthropic) or `api-key` (Azure).
Keys of the configuration come first; the others are in the directory.
"""

from collections.abc import Mapping
from functools import partial
from ipaddress import ip_address
from typing import Final

from proxy.base.clock import wall
from proxy.base.errors import AccessDenied, NotAuthenticated
from proxy.base.secret import fingerprint
from proxy.core.caller import ANONYMOUS, Caller, Directory
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.steps import Later

_WHERE: Final = "send it as `Authorization: Bearer <key>`, `x-api-key` or `api-key`"
_BEARER: Final = "Bearer"  # As nearly everybody writes it.


def auth(x: Exchange) -> Later | None:
    """Find the caller. Raises NotAuthenticated, AccessDenied, StoreUnavailable."""
    callers = x.runtime.callers
    if callers is None:
        x.caller = ANONYMOUS
        return None
    recalled = x.incoming.recalled
    if recalled is None:
        digest = fingerprint(_key(x.incoming.headers))
    elif not (digest := recalled.digest):
        digest = recalled.digest = fingerprint(_key(x.incoming.headers))
    caller = callers.get(digest)
    if caller is None and (directory := x.runtime.directory) is not None:
        caller = directory.known(digest)
        if caller is None:
            key = _key(x.incoming.headers)
            return Later(partial(_look_up, directory=directory, key=key, digest=digest))
    if caller is None or caller.expires is not None or caller.blocked or caller.networks:
        _let_in(x, caller)
    else:
        x.caller = caller
    return None


async def _look_up(x: Exchange, directory: Directory, key: str, digest: bytes) -> Reply | None:
    caller = None
    if key.count(".") == 2:  # As a JWT in its compact form (RFC 7519) has.
        caller = await directory.bearer(key)
    _let_in(x, caller or await directory.find(digest))
    return None


def _let_in(x: Exchange, caller: Caller | None) -> None:
    if caller is None:
        raise NotAuthenticated("this API key is not known here; ask for one, or check for a typo")
    if caller.expires is not None and caller.expires <= wall():
        raise NotAuthenticated("this API key has expired", code="expired_key")
    if caller.blocked:
        raise AccessDenied("this API key is blocked; ask the operator why", code="key_blocked")
    if caller.networks:
        _refuse_strangers(x, caller)
    x.caller = caller


def _refuse_strangers(x: Exchange, caller: Caller) -> None:
    peer = x.incoming.peer
    try:
        address = ip_address(peer.partition("%")[0]) if peer is not None else None
    except ValueError:
        address = None
    mapped = getattr(address, "ipv4_mapped", None)  # What an IPv6 socket says of IPv4 callers.
    known = [each for each in (address, mapped) if each is not None]
    if not any(each in network for each in known for network in caller.networks):
        raise AccessDenied(
            "this API key may not be used from this address", code="key_ip_access_denied"
        )


def _key(headers: Mapping[str, str]) -> str:
    """Raises NotAuthenticated where there is none."""
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if (scheme == _BEARER or scheme.lower() == "bearer") and (key := key.strip()):
            return key
    if key := headers.get("x-api-key") or headers.get("api-key") or "":
        return key
    raise NotAuthenticated(f"no API key was given; {_WHERE}", code="missing_api_key")
