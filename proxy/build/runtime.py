"""The composition root: a snapshot of the configuration in, a Runtime out, built whole.

Nothing is started here and nothing running is touched: if anything is wrong the old one goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.base.secret import fingerprint
from proxy.build.order import middlewares
from proxy.build.providers import Line, line, provider
from proxy.config.settings import CallerKey, Settings
from proxy.config.snapshot import Snapshot
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.ledger import Ledger
from proxy.core.runtime import Runtime
from proxy.core.target import Provider, Target
from proxy.routing.catalogue import Models


@dataclass(frozen=True, slots=True)
class Built:
    """A runtime and the transports that it uses."""

    runtime: Runtime
    lines: Mapping[str, Line] = field(default_factory=dict)

    def replace(self, old: "Built") -> None:
        """Close what `old` had and this has not. Its requests in flight finish."""
        kept = {id(line.transport) for line in self.lines.values()}
        for former in old.lines.values():
            if id(former.transport) not in kept:
                former.transport.close()

    def close(self) -> None:
        """Close all transports."""
        for each in self.lines.values():
            each.transport.close()


def build(snapshot: Snapshot, ledger: Ledger, old: Built | None = None) -> Built:
    """Build a runtime, taking over from `old` the transports that need not change.

    Raises OSError or ssl.SSLError for files that cannot be used."""
    settings = snapshot.settings
    former = old.lines if old is not None else {}
    lines = {
        name: line(each, settings.proxies, former.get(name))
        for name, each in settings.providers.items()
    }
    providers = {
        name: provider(name, each, lines[name].transport)
        for name, each in settings.providers.items()
    }
    own = {name: Target(each) for name, each in providers.items()}
    passthrough = settings.passthrough
    runtime = Runtime(
        version=snapshot.version,
        middlewares=middlewares(),
        catalogue=Models(_targets(settings, providers)),
        callers=_callers(settings),
        passthrough=own[passthrough.provider] if passthrough is not None else None,
        providers=own,
        ledger=ledger,
        max_body=settings.max_body,
        spans=settings.telemetry.otlp.endpoint is not None,
        head_lines=b"x-llm-proxy-config: %b\r\n" % snapshot.version.encode("ascii"),
    )
    return Built(runtime, lines)


def _targets(
    settings: Settings, providers: Mapping[str, Provider]
) -> dict[str, tuple[Target, ...]]:
    return {
        name: tuple(
            Target(providers[target.provider], target.model, target.weight)
            for target in model.targets
        )
        for name, model in settings.models.items()
    }


def _callers(settings: Settings) -> dict[bytes, Caller] | None:
    if settings.auth == "none":
        return None
    return {fingerprint(key.key.reveal()): _caller(key) for key in settings.keys}


def _caller(key: CallerKey) -> Caller:
    expires = key.expires.timestamp() if key.expires is not None else None
    return Caller(
        key.name,
        ModelPatterns.of(tuple(key.models)),
        expires,
        team=key.team,
        user=key.user,
        project=key.project,
        tags=tuple(key.tags),
    )
