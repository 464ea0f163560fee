"""Providers: settings in; transports, adapters and credentials out.

A transport outlives a reload when nothing it depends on changed, so that its connections stay warm.
"""

from dataclasses import dataclass

from proxy.build.walls import walls
from proxy.config.providers import Provider as ProviderSettings
from proxy.config.settings import Proxies
from proxy.core.outgoing import Timeouts
from proxy.core.ports import Transport
from proxy.core.quota import Scope
from proxy.core.target import Provider
from proxy.providers.keyring import Keys
from proxy.providers.openai import OpenAIAdapter
from proxy.upstream.origin import Origin
from proxy.upstream.pool import PoolLimits
from proxy.upstream.proxies import ProxySettings, choose
from proxy.upstream.tls import make_context
from proxy.upstream.transport import HttpTransport

DEMO_BASE_PATH = "/v1"
_SHORTEST_SECRET = 8  # A configured header such as `X-Account: ours` is no secret.


@dataclass(frozen=True, slots=True)
class Line:
    """A transport and the settings it was made from: equal settings, same transport."""

    made_from: tuple[object, ...]
    transport: Transport


def line(settings: ProviderSettings, proxies: Proxies, old: Line | None) -> Line:
    """The transport for a provider; `old` when it would come out the same.

    Raises OSError or ssl.SSLError for a CA file that cannot be used."""
    made_from = (
        settings.kind,
        settings.base_url,
        settings.pool,
        settings.tls,
        settings.delay,
        proxies,
    )
    if old is not None and old.made_from == made_from:
        return old
    if settings.kind == "demo":
        from proxy.demo.transport import DemoTransport  # noqa: PLC0415 - Needed for nothing else.

        return Line(made_from, DemoTransport(settings.delay))
    origin, _ = Origin.parse(settings.base_url)
    limits = PoolLimits(settings.pool.max_connections, settings.pool.keepalive)
    context = make_context(settings.tls.ca) if origin.secure else None
    return Line(
        made_from,
        HttpTransport(origin, limits, tls=context, proxy=choose(origin, proxy_settings(proxies))),
    )


def provider(
    name: str, settings: ProviderSettings, transport: Transport, old: Provider | None = None
) -> Provider:
    """What the life of a request sees of a provider. `old`: the one before a reload, whose keys are
    taken over with what is known of them where they are still the same."""
    base_path = DEMO_BASE_PATH
    if settings.kind == "openai":
        _, base_path = Origin.parse(settings.base_url)
    fields = tuple((k.encode("ascii"), v.reveal().encode()) for k, v in settings.headers.items())
    replaced = {key.lower() for key, _ in fields}
    timeouts = settings.timeouts
    return Provider(
        name=name,
        transport=transport,
        timeouts=Timeouts(timeouts.connect, timeouts.first_token, timeouts.idle, timeouts.total),
        adapters={"": OpenAIAdapter()},
        base_path=base_path.rstrip("/"),
        headers=fields,
        replaced=frozenset(replaced),
        keys=_keys(settings, replaced, old),
        off=settings.off_reason,
        walls=walls(Scope("provider", name), settings.limits, settings.budgets),
        secrets=_secrets(settings),
        region=settings.region,
        residency=settings.residency,
    )


def _keys(settings: ProviderSettings, replaced: set[bytes], old: Provider | None) -> Keys | None:
    """The keys; None when there are none, or `headers` has its own."""
    if not settings.api_keys or b"authorization" in replaced:
        return None
    fields = [
        ((b"authorization", b"Bearer " + each.key.reveal().encode("utf-8")), each.weight)
        for each in settings.api_keys
    ]
    former = old.keys if old is not None else None
    if isinstance(former, Keys) and former.made_of(fields):
        return former
    return Keys(fields)


def _secrets(settings: ProviderSettings) -> tuple[bytes, ...]:
    """What the vendor knows of ours, the longest first: one may be the beginning of another."""
    keys = (each.key for each in settings.api_keys)
    values = (each.reveal() for each in (*keys, *settings.headers.values()))
    sizeable = {value.encode() for value in values if len(value) >= _SHORTEST_SECRET}
    return tuple(sorted(sizeable, key=len, reverse=True))


def proxy_settings(proxies: Proxies) -> ProxySettings:
    """The forward proxies, as the client for vendors wants them."""
    return ProxySettings(
        https=proxies.https.reveal() if proxies.https is not None else None,
        http=proxies.http.reveal() if proxies.http is not None else None,
        no_proxy=",".join(proxies.none),
    )
