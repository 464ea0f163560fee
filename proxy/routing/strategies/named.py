"""From the word in the configuration to a strategy; one of its own for each configured model."""

from collections.abc import Callable, Mapping

from proxy.routing.strategies.cheapest_above import CheapestAbove
from proxy.routing.strategies.cost import Cost
from proxy.routing.strategies.latency import Latency
from proxy.routing.strategies.least_busy import LeastBusy
from proxy.routing.strategies.port import Strategy
from proxy.routing.strategies.round_robin import RoundRobin
from proxy.routing.strategies.score import Score, Weights
from proxy.routing.strategies.sticky import Sticky
from proxy.routing.strategies.weighted import Weighted

EVEN = Weights(cost=1.0, latency=1.0, quality=1.0, capability=1.0)
"""Where `score` is chosen and no weights are declared."""

_MADE: Mapping[str, Callable[[], Strategy]] = {
    "weighted": Weighted,
    "round_robin": RoundRobin,
    "least_busy": LeastBusy,
    "latency": Latency,
    "cost": Cost,
    "sticky": Sticky,
    "score": lambda: Score(EVEN),
    "cheapest_above": CheapestAbove,
}
NAMES = tuple(_MADE)


def strategy(name: str, score: Weights | None = None) -> Strategy:
    """A new one. Raises KeyError for a name that is not one of NAMES."""
    return Score(score) if name == "score" and score is not None else _MADE[name]()
