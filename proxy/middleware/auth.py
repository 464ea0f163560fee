"""Whose request it is: a virtual key, compared as SHA-256.

The key may come as `Authorization: Bearer` (OpenAI), `x-api-key` (Anthropic) or `api-key` (Azure).
"""

from collections.abc import Mapping

from proxy.base.clock import wall
from proxy.base.errors import NotAuthenticated
from proxy.base.secret import fingerprint
from proxy.core.caller import ANONYMOUS
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply

_WHERE = "send it as `Authorization: Bearer <key>`, `x-api-key` or `api-key`"


async def auth(x: Exchange) -> Reply | None:
    """Find the caller. Raises NotAuthenticated."""
    callers = x.runtime.callers
    if callers is None:
        x.caller = ANONYMOUS
        return None
    key = _key(x.incoming.headers)
    if key is None:
        raise NotAuthenticated(f"no API key was given; {_WHERE}", code="missing_api_key")
    caller = callers.get(fingerprint(key))
    if caller is None:
        raise NotAuthenticated("this API key is not known here; ask for one, or check for a typo")
    if caller.expires is not None and caller.expires <= wall():
        raise NotAuthenticated("this API key has expired", code="expired_key")
    x.caller = caller
    return None


def _key(headers: Mapping[str, str]) -> str | None:
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() == "bearer" and (key := key.strip()):
            return key
    return headers.get("x-api-key") or headers.get("api-key") or None
