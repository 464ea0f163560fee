"""How targets are, from what the workers say of them: a gauge of bounded labels.

A target behind a pattern has the name that a caller gave as its model; it is told as `other`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from proxy.telemetry.bounded import OTHER
from proxy.telemetry.labels import Labels

STATES = frozenset(("off", "open", "half_open", "resting", "closed"))

Said = Mapping[str, object]
"""What one worker says of one target (build/health.py)."""


def target_states(said: Iterable[Said], read: Labels) -> dict[tuple[str, ...], float]:
    """By model, provider, target and state: how many workers see it so. In the order given."""
    found: Counter[tuple[str, ...]] = Counter()
    for each in said:
        route, provider, model = (str(each.get(name)) for name in ("route", "provider", "model"))
        state = str(each.get("status"))
        found[
            read.models.get(route, OTHER),
            read.providers.get(provider, OTHER),
            read.upstream_models.get(model, OTHER),
            state if state in STATES else OTHER,
        ] += 1
    return dict(found)
