"""Targets for tests of strategies and plans, with a health that is moved by hand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from proxy.core.health import Health
from proxy.core.policy import Breaker, Fallback, Policy
from proxy.core.target import Provider, Route, Target
from tests.fakes.exchange import provider
from tests.fakes.wire import FakeTransport

TRANSPORT = FakeTransport()
MILLION = 10**6


@dataclass
class FakeHealth:
    """The port `Health`: what a test says of a target. `until`: when its breaker closes."""

    ewma: float | None = None
    p95: float | None = None
    in_flight: int = 0
    until: float = 0.0
    resting: bool = False
    barred: str | None = None

    def latency(self) -> float | None:
        return self.ewma

    def quantile(self, q: float) -> float | None:
        return self.p95 if q == 0.95 else None

    def why_not(self, now: float) -> str | None:
        if self.barred is not None:
            return self.barred
        return f"its breaker is open for {self.until - now:g} s" if now < self.until else None

    def rests(self, now: float) -> bool:
        return self.resting

    def opens(self) -> float:
        return self.until

    def named(self, model: str) -> Health:
        return self

    def begin(self) -> int:
        self.in_flight += 1
        return 0

    def first_token(self, seconds: float, began: int) -> None:
        self.ewma = seconds

    def end(self, reason: str | None, began: int) -> None:
        self.in_flight -= 1

    def rest(self, seconds: float) -> None:
        self.resting = True


def vendor(
    name: str, *, off: str | None = None, region: str | None = None, residency: str = "cloud"
) -> Provider:
    return replace(provider(name, TRANSPORT, off), region=region, residency=residency)


def target(
    name: str,
    weight: float = 1.0,
    *,
    health: FakeHealth | None = None,
    at: Provider | None = None,
    tier: int = 1,
    quality: float | None = None,
    capabilities: Iterable[str] | None = None,
    window: int | None = None,
    bypass: bool = False,
) -> Target:
    """A target whose provider and model have this name."""
    return Target(
        at or vendor(name),
        name,
        weight,
        tier=tier,
        quality=quality,
        capabilities=None if capabilities is None else frozenset(capabilities),
        context_window=window,
        policy=Policy(breaker=Breaker(bypass=bypass)),
        health=health or FakeHealth(),
    )


def weighed(*weights: float) -> tuple[Target, ...]:
    """Targets `0`, `1`, … of these weights."""
    return tuple(target(str(place), weight) for place, weight in enumerate(weights))


def route(
    model: str, *targets: Target, fallbacks: tuple[str, ...] = (), off: str | None = None
) -> Route:
    return Route(model, targets, policy=Policy(fallback=Fallback(models=fallbacks)), off=off)


class FakeCatalogue:
    """The port `Catalogue`: exact names only."""

    def __init__(self, *routes: Route) -> None:
        self._routes: Mapping[str, Route] = {each.model: each for each in routes}

    def route(self, asked: str) -> Route | None:
        return self._routes.get(asked)

    def names(self) -> tuple[str, ...]:
        return tuple(self._routes)

    def routes(self) -> tuple[Route, ...]:
        return tuple(self._routes.values())

    def near(self, asked: str) -> str | None:
        return None


def names(targets: Iterable[Target]) -> str:
    """Their models, one after the other."""
    return " ".join(each.model for each in targets)


def health(of: Target) -> FakeHealth:
    """Of a target of this file."""
    assert isinstance(of.health, FakeHealth)
    return of.health
