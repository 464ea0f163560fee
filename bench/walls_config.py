"""The configuration of the walls run: every scope with its hard budgets, keys and teams many."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.faults_requests import in_usd
from bench.walls_world import CACHED, GONE, PROVIDERS, REASONING, Budget, World, upstream
from proxy.core.quota import Scope, ScopeKind

_CONFIG = """\
listen: 127.0.0.1:{port}
workers: {workers}
auth: required
data_dir: {data}
store: embedded
redis: {redis}
spool: {{segment: 1MiB, age: 10s}}
admin: {{listen: "127.0.0.1:{admin}"}}
telemetry: {{log: {{level: error, format: text}}}}
proxies: {{none: ["*"]}}
"""
_PATIENT = "breaker: {failures: 1000}"  # The vendor fails often, and is to be asked all the same.


class Places(NamedTuple):
    """Where everything is. `dead`: a port on which nobody listens; `redis`: None for memory."""

    port: int
    admin: int
    vendor: int
    dead: int
    redis: str | None
    data: Path


def text(world: World, budgets: Sequence[Budget], places: Places, workers: int) -> str:
    """The whole file."""
    walls = _Walls(budgets, world.zone)
    lines = [
        _CONFIG.format(
            port=places.port,
            workers=workers,
            data=places.data,
            redis=places.redis or "null",
            admin=places.admin,
        ),
        "providers:",
    ]
    for name in (*PROVIDERS, GONE):
        port = places.dead if name == GONE else places.vendor
        url = f'base_url: "http://127.0.0.1:{port}/{name}"'
        own = walls.of("provider", name)
        lines.append(f"  {name}: {{kind: openai, {url}, api_keys: [sk-vendor]{own}}}")
    lines.append("models:")
    for model, providers in world.models.items():
        targets = ", ".join(_target(world, model, provider) for provider in providers)
        own = walls.of("model", model)
        lines.append(f"  {model}: {{targets: [{targets}], {_PATIENT}{own}}}")
    lines.append("keys:")
    for caller in world.callers:
        own = walls.of("key", caller.name)
        whose = f"team: {caller.team}, project: {caller.project}"
        lines.append(f"  - {{name: {caller.name}, key: {caller.key}, {whose}{own}}}")
    named: tuple[tuple[ScopeKind, Sequence[str]], ...] = (
        ("team", sorted({caller.team for caller in world.callers})),
        ("project", sorted({caller.project for caller in world.callers})),
        ("customer", world.customers),
    )
    for kind, names in named:
        lines.append(f"{kind}s:")
        lines += [f"  {name}: {{{walls.of(kind, name)[2:]}}}" for name in names]
    lines.append(f"global: {{{walls.of('global', '')[2:]}}}")
    return "\n".join(lines) + "\n"


def _target(world: World, model: str, provider: str) -> str:
    name = upstream(model, provider)
    rates = world.rates[name]
    price = (
        f"input: {in_usd(rates.input)}, cached_input: {in_usd(rates.input // CACHED)}, "
        f"output: {in_usd(rates.output)}, reasoning: {in_usd(rates.output * REASONING // 2)}"
    )
    return f"{{provider: {provider}, model: {name}, price: {{{price}}}}}"


class _Walls:
    """Budgets as they are written."""

    def __init__(self, budgets: Sequence[Budget], zone: str) -> None:
        self._zone = zone
        self._of: dict[Scope, list[Budget]] = {}
        for budget in budgets:
            self._of.setdefault(budget.scope, []).append(budget)

    def of(self, kind: ScopeKind, name: str) -> str:
        """Those of a scope, behind a comma; empty where it has none."""
        rows = [
            f"{{amount: {in_usd(one.amount)}, period: {one.period}, zone: {self._zone}}}"
            for one in self._of.get(Scope(kind, name), ())
        ]
        return f", budgets: [{', '.join(rows)}]" if rows else ""
