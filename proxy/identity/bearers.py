"""Callers by token: verified once, then found by the token's SHA-256 until it expires.

Everything that decides is configured: which issuers there are, which algorithms each may use, for
whom a token must be meant. A token only chooses among it. What was verified is forgotten when its
issuer withdraws a key, and with every new configuration.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from proxy.base.clock import wall
from proxy.base.secret import fingerprint
from proxy.core.caller import Caller
from proxy.identity.claims import ClaimNames, caller_of, expired, good_until
from proxy.identity.key_source import KeySource
from proxy.identity.token import Token, invalid, read

MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider and what its tokens must be like. `grant`: from the name of a bearer to
    the caller, before the claims say more."""

    source: KeySource
    audience: frozenset[str]
    algorithms: frozenset[str]
    leeway: float
    claims: ClaimNames
    grant: Callable[[str], Caller]


class _Known(NamedTuple):
    caller: Caller
    until: float
    source: KeySource
    generation: int


class Bearers:
    """All issuers, by their name."""

    __slots__ = ("_issuers", "_known", "_most", "_wall")

    def __init__(
        self,
        issuers: Iterable[Issuer],
        today: Callable[[], float] = wall,
        most: int = MOST_KEPT,
    ) -> None:
        self._issuers = {issuer.source.whence.issuer: issuer for issuer in issuers}
        self._known: dict[bytes, _Known] = {}
        self._wall = today
        self._most = most

    async def bearer(self, token: str) -> Caller | None:
        """Whose token it is, or None where it is no token. Raises NotAuthenticated,
        StoreUnavailable."""
        digest = fingerprint(token)
        known = self._known.get(digest)
        if known is not None and known.generation == known.source.generation:
            if known.until <= self._wall():
                del self._known[digest]
                raise expired()
            known.source.keep_fresh()
            return known.caller
        said = read(token)
        if said is None:
            return None
        found = await self._verified(said)
        self._keep(digest, found)
        return found.caller

    async def _verified(self, token: Token) -> _Known:
        named = token.claims.get("iss")
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        if issuer is None:
            raise invalid("its issuer is not known here (iss)")
        if token.algorithm not in issuer.algorithms:
            raise invalid("it is not signed in a way that is accepted here (alg)")
        generation = await _refuse_forged(token, issuer.source)
        until = good_until(token.claims, issuer.audience, self._wall(), issuer.leeway)
        caller = caller_of(token.claims, issuer.claims, issuer.source.whence.issuer, issuer.grant)
        return _Known(caller, until, issuer.source, generation)

    def _keep(self, digest: bytes, found: _Known) -> None:
        known = self._known
        known.pop(digest, None)
        if len(known) >= self._most:
            del known[next(iter(known))]  # The oldest: it expires first, as a rule.
        known[digest] = found


async def _refuse_forged(token: Token, source: KeySource) -> int:
    """The generation of the keys that the token is signed by. Raises NotAuthenticated."""
    keys = await source.keys()
    if keys.signed(token):
        return source.generation
    if token.kid is None or not keys.knows(token.kid):  # The issuer may have a new key.
        keys = await source.newer()
        if keys.signed(token):
            return source.generation
    raise invalid("it is not signed by a key of its issuer")
