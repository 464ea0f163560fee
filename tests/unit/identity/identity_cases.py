"""What the tests of tokens share: bearers of one issuer, by clocks that a test turns."""

from typing import Any

from proxy.base.errors import NotAuthenticated
from proxy.build.callers import bearer
from proxy.build.fetch import HttpFetch
from proxy.config.callers import Rights
from proxy.core.caller import Caller
from proxy.identity.bearers import Bearers, Issuer
from proxy.identity.claims import ClaimNames
from proxy.identity.key_source import Fetch, KeySource, Whence
from proxy.upstream.proxies import ProxySettings
from tests.fakes.openid import OpenIdProvider

NOW = 1_800_000_000.0
AUDIENCE = "llm-proxy"


class Clock:
    """Time, as a test wants it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Home:
    """Bearers of one issuer. `ticking` is the clock of fetches, `today` that of tokens."""

    def __init__(
        self,
        provider: OpenIdProvider,
        *,
        claims: ClaimNames | None = None,
        grants: Rights | None = None,
        algorithms: tuple[str, ...] = ("RS256", "ES256"),
        jwks: str = "",
        most: int = 10_000,
        fetch: Fetch | None = None,
    ) -> None:
        self.ticking, self.today = Clock(0.0), Clock(NOW)
        fetching = fetch or HttpFetch(ProxySettings())
        self.issuer = provider.issuer
        self.source = KeySource(Whence(provider.issuer, jwks), fetching, self.ticking)
        granted = grants or Rights()
        issuer = Issuer(
            self.source,
            frozenset((AUDIENCE, "another")),
            frozenset(algorithms),
            30.0,
            claims or ClaimNames(),
            lambda name: bearer(name, granted),
        )
        self.bearers = Bearers([issuer], self.today, most)

    def claims(self, **more: Any) -> dict[str, Any]:
        """Those of a good token; None leaves one out."""
        good = {"iss": self.issuer, "sub": "ada", "aud": AUDIENCE, "exp": int(NOW) + 600, **more}
        return {name: value for name, value in good.items() if value is not None}

    async def caller(self, token: str) -> Caller:
        found = await self.bearers.bearer(token)
        assert found is not None
        return found

    async def refusal(self, token: str) -> NotAuthenticated:
        """Why a token is refused."""
        try:
            found = await self.bearers.bearer(token)
        except NotAuthenticated as error:
            return error
        raise AssertionError(f"it was let in, as {found}")
