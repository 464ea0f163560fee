"""The planner of a runtime: strategies, prices and access, put together."""

from dataclasses import dataclass

from proxy.build.routing import strategies
from proxy.config.settings import Settings
from proxy.core.exchange import Exchange
from proxy.core.gate import PriceList
from proxy.core.target import Catalogue, Route, Target
from proxy.limits import bounds
from proxy.middleware.access import may_know
from proxy.routing.asked import RequestPlanner
from proxy.routing.planner import Planner
from proxy.routing.wishes import wishes_of
from proxy.wire.body import Body

_MTOK = 1_000_000
_USUAL_OUTPUT = 500
"""Tokens of an answer to a request that names no cap, for comparing prices."""


@dataclass(frozen=True, slots=True)
class TargetPrices:
    """What an attempt costs, in nano-USD."""

    prices: PriceList

    def likely(self, target: Target, tokens_in: int, tokens_out: int, /) -> int | None:
        """Of so many tokens; without a cap, of an answer of usual length."""
        rates = self.prices.most(target.provider.name, target.model, tokens_in, "")
        if rates is None:
            return None
        used = tokens_in * rates.input + (tokens_out or _USUAL_OUTPUT) * rates.output
        return -(-used // _MTOK) + rates.request

    def most(self, x: Exchange, target: Target, /) -> int | None:
        """What a budget would hold for it."""
        need = bounds.need(x)
        longest = bounds.longest(need)
        rates = self.prices.most(target.provider.name, target.model, longest, need.tier)
        if rates is None:
            return None
        return bounds.money(need, rates, bounds.able(need, rates, stream=False))[0]


def planner(settings: Settings, catalogue: Catalogue, prices: PriceList) -> RequestPlanner:
    """The planner of a configuration."""
    return RequestPlanner(Planner(catalogue, strategies(settings)), TargetPrices(prices), _refusal)


def _refusal(x: Exchange, model: str, route: Route) -> str | None:
    """A fallback that the caller wishes for must be one that it may name; one of the operator's,
    one that it is cleared for."""
    if not may_know(x.caller, route):
        return f"this key is not cleared for the model `{model}`"
    if model in x.caller.models:
        return None
    wishes = wishes_of(x.incoming, x.body if isinstance(x.body, Body) else None)
    if wishes is not None and wishes.fallbacks is not None:
        return f"this key may not use the model `{model}`"
    return None
