"""The composition root: a snapshot of the configuration in, a Runtime out, built whole.

Nothing is started here and nothing running is touched: if anything is wrong the old one goes on.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.build.callers import callers
from proxy.build.counting import token_counter
from proxy.build.identity import TokenDirectory, Tokens, tokens
from proxy.build.lookup import Lookup, directory
from proxy.build.order import middlewares
from proxy.build.planner import planner
from proxy.build.probes import questions
from proxy.build.providers import Line, line, provider
from proxy.build.routing import routes, rules
from proxy.config.settings import Settings
from proxy.config.snapshot import Snapshot
from proxy.core.gate import NO_PRICES, Gate, PriceList
from proxy.core.ledger import Ledger
from proxy.core.policy import Breaker
from proxy.core.runtime import Runtime
from proxy.core.target import Target
from proxy.routing.catalogue import Models
from proxy.routing.healths import Healths
from proxy.routing.probes import Question


@dataclass(frozen=True, slots=True)
class Built:
    """A runtime and the transports that it uses."""

    runtime: Runtime
    lines: Mapping[str, Line] = field(default_factory=dict)
    tokens: Tokens | None = None
    healths: Healths = field(default_factory=Healths)
    probes: tuple[Question, ...] = ()

    def replace(self, old: "Built") -> None:
        """Close what `old` had and this has not. Its requests in flight finish."""
        kept = {id(line.transport) for line in self.lines.values()}
        for former in old.lines.values():
            if id(former.transport) not in kept:
                former.transport.close()

    def close(self) -> None:
        """Close all transports, and what counts tokens."""
        for each in self.lines.values():
            each.transport.close()
        self.runtime.tokens.close()
        if self.tokens is not None:
            self.tokens.close()


def build(
    snapshot: Snapshot,
    ledger: Ledger,
    old: Built | None = None,
    gate: Gate | None = None,
    stored: Lookup | None = None,
    *,
    prices: PriceList = NO_PRICES,
) -> Built:
    """Build a runtime, taking over from `old` the transports that need not change, the counter of
    tokens and what is known of the targets.

    Raises OSError or ssl.SSLError for files that cannot be used, ValueError for an expression."""
    settings = snapshot.settings
    former = old.lines if old is not None else {}
    lines = {
        name: line(each, settings.proxies, former.get(name))
        for name, each in settings.providers.items()
    }
    known = old.runtime.providers if old is not None else {}
    providers = {
        name: provider(
            name, each, lines[name].transport, known[name].provider if name in known else None
        )
        for name, each in settings.providers.items()
    }
    healths = old.healths if old is not None else Healths()
    catalogue = Models(routes(settings, providers, healths, prices))
    own = {
        name: Target(each, health=healths.of("", name, "", Breaker(failures=sys.maxsize)))
        for name, each in providers.items()
    }  # There is no other that could take their place: only an operator switches them off.
    passthrough = settings.passthrough
    bearers = tokens(settings, old.tokens if old is not None else None)
    runtime = Runtime(
        version=snapshot.version,
        middlewares=middlewares(keep_content=_keeps_content(settings)),
        catalogue=catalogue,
        planner=planner(settings, catalogue, prices),
        rules=rules(settings),
        callers=callers(settings),
        passthrough=own[passthrough.provider] if passthrough is not None else None,
        providers=own,
        ledger=ledger,
        directory=directory(
            stored, TokenDirectory(bearers.bearers) if bearers is not None else None
        ),
        gate=gate,
        max_body=settings.max_body,
        tokens=old.runtime.tokens if old is not None else token_counter(settings),
        spans=settings.telemetry.otlp.endpoint is not None,
        head_lines=b"x-llm-proxy-config: %b\r\n" % snapshot.version.encode("ascii"),
    )
    return Built(runtime, lines, bearers, healths, tuple(questions(settings, providers, prices)))


def _keeps_content(settings: Settings) -> bool:
    return settings.telemetry.content == "full" and settings.store != "none"
