"""Where an issuer's keys come from: fetched when the first token comes, then kept fresh.

A request waits for keys only where there are none yet, or where its token names one that is not
among them, and for the latter the issuer is asked at most every 30 seconds. All who wait share one
fetch, which no cancelled request ends. While the issuer is away its last keys stay good.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from proxy.base.clock import monotonic
from proxy.base.errors import ProxyError, StoreUnavailable
from proxy.base.tasks import Tasks
from proxy.identity.keys import KeySet
from proxy.identity.strict_json import strict_object

log = logging.getLogger("llm-proxy.identity")

LIFETIME = 600.0
"""Seconds until keys are fetched anew."""
AT_MOST_EVERY = 30.0
"""Seconds between two fetches for the sake of a key that is not known."""
AGAIN = 5.0
"""Seconds until a fetch that failed is tried again where there are no keys at all."""

_DISCOVERY = "/.well-known/openid-configuration"

Fetch = Callable[[str], Awaitable[bytes]]
"""GET a URL: the body of its 200. Bounded in size and time. Raises ProxyError."""


class Whence(NamedTuple):
    """Whose keys, and where they are; "": where the issuer's OpenID configuration says."""

    issuer: str
    jwks: str = ""


class KeySource:
    """The keys of one issuer."""

    __slots__ = (
        "_asked", "_clock", "_due", "_failure", "_fetch", "_fetching", "_keys", "_tasks",
        "generation", "whence",
    )  # fmt: skip

    def __init__(
        self, whence: Whence, fetch: Fetch, clock: Callable[[], float] = monotonic
    ) -> None:
        self.whence = whence
        self.generation = 0  # Grows when a key is withdrawn: what it signed counts no more.
        self._fetch = fetch
        self._clock = clock
        self._tasks = Tasks()
        self._fetching: asyncio.Task[None] | None = None
        self._keys: KeySet | None = None
        self._failure: str | None = None
        self._asked = float("-inf")
        self._due = float("-inf")

    def again(self, fetch: Fetch) -> "KeySource":
        """Another that fetches anew and has these keys until then."""
        other = KeySource(self.whence, fetch, self._clock)
        other._keys = self._keys
        return other

    async def keys(self) -> KeySet:
        """The keys as they are known. Raises StoreUnavailable where none ever came."""
        if self._keys is None and self._clock() >= self._due:
            await self._refresh()
        if self._keys is None:
            raise StoreUnavailable(
                "tokens cannot be checked now: their issuer does not give its keys",
                code="issuer_unavailable",
                headers=((b"retry-after", b"%d" % AGAIN),),
            )
        self.keep_fresh()
        return self._keys

    async def newer(self) -> KeySet:
        """The keys after asking the issuer once more, unless it was asked a moment ago."""
        if self._busy or self._clock() - self._asked >= AT_MOST_EVERY:
            await self._refresh()
        return await self.keys()

    def keep_fresh(self) -> None:
        """Fetch in the background what has become old."""
        if self._clock() >= self._due and not self._busy:
            self._begin()

    def close(self) -> None:
        """Fetch no more."""
        if self._fetching is not None:
            self._fetching.cancel()

    @property
    def _busy(self) -> bool:
        return self._fetching is not None and not self._fetching.done()

    async def _refresh(self) -> None:
        if not self._busy:
            self._begin()
        assert self._fetching is not None  # Begun.
        await asyncio.wait((self._fetching,))

    def _begin(self) -> None:
        self._asked = self._clock()
        self._fetching = self._tasks.spawn(self._renew(), name="keys of an issuer")

    async def _renew(self) -> None:
        try:
            keys = KeySet.parse(await self._fetch(await self._where()))
        except (ProxyError, ValueError) as error:
            self._due = self._clock() + (AGAIN if self._keys is None else AT_MOST_EVERY)
            if str(error) != self._failure:
                log.warning("the keys of %s cannot be fetched: %s", self.whence.issuer, error)
            self._failure = str(error)
            return
        if self._failure is not None:
            log.info("the keys of %s are here again", self.whence.issuer)
        self._failure = None
        if self._keys is not None and not keys.covers(self._keys):
            self.generation += 1
        self._keys = keys
        self._due = self._clock() + LIFETIME

    async def _where(self) -> str:
        """The URL of the keys (OpenID Connect Discovery §4). Raises ValueError, ProxyError."""
        issuer, jwks = self.whence
        if jwks:
            return jwks
        said = strict_object(await self._fetch(issuer.rstrip("/") + _DISCOVERY))
        if said.get("issuer") != issuer:
            raise ValueError("its OpenID configuration is that of another issuer")
        found = said.get("jwks_uri")
        if not isinstance(found, str):
            raise ValueError("its OpenID configuration does not say where its keys are")  # noqa: TRY004
        if issuer.startswith("https://") and not found.startswith("https://"):
            raise ValueError("its keys would come without TLS")
        return found
