"""From the issuers that are written to the bearers of their tokens.

Only where an issuer is configured is the code that verifies loaded: its cryptography takes a
worker tens of milliseconds and megabytes. Keys outlive a reload, so that an issuer that is away
then locks nobody out.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from proxy.build.callers import bearer
from proxy.build.fetch import HttpFetch
from proxy.build.providers import proxy_settings
from proxy.config.settings import Settings
from proxy.core.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.config.callers import Jwt
    from proxy.identity.bearers import Bearers, Issuer
    from proxy.identity.key_source import KeySource, Whence


@dataclass(frozen=True, slots=True)
class Tokens:
    """The bearers of a configuration, and where their issuers' keys come from."""

    bearers: "Bearers"
    sources: "Mapping[Whence, KeySource]"

    def close(self) -> None:
        """Fetch no more keys."""
        for source in self.sources.values():
            source.close()


@dataclass(frozen=True, slots=True)
class TokenDirectory:
    """A directory (the port of core/caller.py) that knows the bearers of tokens and nobody else."""

    bearers: "Bearers"

    def known(self, fingerprint: bytes) -> Caller | None:
        return None

    async def find(self, fingerprint: bytes) -> Caller | None:
        return None

    async def bearer(self, token: str) -> Caller | None:
        return await self.bearers.bearer(token)

    def refuse_unready(self) -> None:
        """Nothing is kept anywhere."""


def tokens(settings: Settings, old: Tokens | None = None) -> Tokens | None:
    """The bearers of a configuration, with the keys that `old` has; None where no issuer is
    written."""
    if settings.auth == "none" or not settings.jwt:
        return None
    from proxy.identity.bearers import Bearers  # noqa: PLC0415 - see above.
    from proxy.identity.key_source import KeySource, Whence  # noqa: PLC0415

    fetch = HttpFetch(proxy_settings(settings.proxies))
    former = old.sources if old is not None else {}
    sources: dict[Whence, KeySource] = {}
    for each in settings.jwt:
        whence = Whence(each.issuer, each.jwks)
        known = former.get(whence)
        sources[whence] = KeySource(whence, fetch) if known is None else known.again(fetch)
    issuers = [_issuer(each, sources[Whence(each.issuer, each.jwks)]) for each in settings.jwt]
    return Tokens(Bearers(issuers), sources)


def _issuer(settings: "Jwt", source: "KeySource") -> "Issuer":
    from proxy.identity.bearers import Issuer  # noqa: PLC0415
    from proxy.identity.claims import ClaimNames  # noqa: PLC0415

    said = settings.claims
    names = ClaimNames(
        said.name, said.team, said.user, said.project, said.tier, said.clearance, said.roles,
        said.models,
    )  # fmt: skip
    return Issuer(
        source,
        frozenset(settings.audience),
        frozenset(settings.algorithms),
        settings.leeway,
        names,
        partial(bearer, grants=settings.grants),
    )
