"""Why a target is not in a plan, one row each; what is not declared; residency never leaks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.target import Target
from proxy.routing.planner import Planner
from proxy.routing.planner_checks import Checks
from proxy.routing.strategies.port import Known
from proxy.routing.wishes import Wishes
from tests.unit.routing.planned_targets import FakeCatalogue, FakeHealth, route, target, vendor

NOW = 100.0
EU_LOCAL = vendor("p", region="eu", residency="local")
BIG = Known(tokens_in=900, tokens_out=200, needs=frozenset(("tools", "vision")))


def against(
    of: Target, ask: Known = BIG, wishes: Wishes | None = None, residency: str | None = None
) -> tuple[str, str] | None:
    dropped = Checks(ask, NOW, wishes, residency).against(of)
    return None if dropped is None else (dropped.cause, dropped.reason)


@pytest.mark.parametrize(
    ("declared", "cause", "reason"),
    [
        ({}, None, ""),
        ({"capabilities": ("chat", "tools", "vision")}, None, ""),
        ({"capabilities": ("chat", "tools")}, "capability", "it does not declare vision"),
        ({"capabilities": ()}, "capability", "it does not declare tools, vision"),
        ({"window": 1100}, None, ""),
        ({"window": 1099}, "window", "about 1100 tokens do not fit into its window of 1099"),
        ({"health": FakeHealth(until=NOW + 5)}, "breaker", "its breaker is open for 5 s"),
        (
            {"at": vendor("p", off="no key"), "health": FakeHealth(until=NOW + 5)},
            "off",
            "the provider is off: no key",
        ),
    ],
)
def test_what_a_request_needs(declared: dict[str, Any], cause: str | None, reason: str) -> None:
    assert against(target("a", **declared)) == (None if cause is None else (cause, reason))


@pytest.mark.parametrize(
    ("wishes", "cause", "reason"),
    [
        (Wishes(), None, ""),
        (Wishes(provider="p", residency="local", region="EU", tier=2), None, ""),
        (Wishes(provider="q"), "provider", "only the provider `q` is wished"),
        (Wishes(residency="cloud"), "residency", "cloud is wished, the provider is local"),
        (Wishes(region="us"), "region", "the region `us` is wished, the provider is in `eu`"),
        (Wishes(tier=1), "tier", "only tier 1 is wished, it is of tier 2"),
        (Wishes(min_quality=0.5), None, ""),
        (Wishes(min_quality=0.51), "quality", "a quality of 0.51 is wished, its own is 0.5"),
        (Wishes(max_cost=12_500_000), None, ""),
        (
            Wishes(max_cost=12_499_999),
            "cost",
            "it may cost 0.0125 USD there, more than 0.012499999",
        ),
        (Wishes(max_latency=0.8), None, ""),
        (
            Wishes(max_latency=0.79),
            "latency",
            "its first token takes 0.8 s of late, more than 0.79 s",
        ),
    ],
)
def test_what_a_caller_wishes(wishes: Wishes, cause: str | None, reason: str) -> None:
    of = target("a", at=EU_LOCAL, tier=2, quality=0.5, health=FakeHealth(ewma=0.3, p95=0.8))
    ask = Known(most=lambda _: 12_500_000)
    assert against(of, ask, wishes) == (None if cause is None else (cause, reason))


@pytest.mark.parametrize(
    ("wishes", "cause", "reason"),
    [
        (Wishes(region="us"), "region", "the region `us` is wished, it declares none"),
        (Wishes(min_quality=0.0), "quality", "a quality of 0 is wished, none is declared"),
        (Wishes(max_cost=10**15), "cost", "nobody knows what it may cost there"),
        (Wishes(max_latency=0.001), None, ""),
    ],
)
def test_what_is_not_known(wishes: Wishes, cause: str | None, reason: str) -> None:
    assert against(target("a"), Known(), wishes) == (None if cause is None else (cause, reason))


def test_the_average_counts_where_there_is_no_quantile() -> None:
    of = target("a", health=FakeHealth(ewma=0.5))
    assert against(of, wishes=Wishes(max_latency=0.5)) is None
    dropped = against(of, wishes=Wishes(max_latency=0.4))
    assert dropped is not None and dropped[0] == "latency"


def test_nothing_is_worked_out_that_nobody_needs() -> None:
    class Unasked(Known):
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(name)

    assert against(target("a"), Unasked(), Wishes(provider="a", residency="cloud")) is None


@pytest.mark.parametrize(
    ("residency", "wish", "is_local", "is_cloud"),
    [
        (None, None, True, True),
        ("local", None, True, False),
        (None, "local", True, False),
        ("local", "local", True, False),
        ("local", "cloud", False, False),  # A wish does not loosen what a rule demands.
        ("cloud", None, False, True),
    ],
)
def test_residency(residency: str | None, wish: str | None, is_local: bool, is_cloud: bool) -> None:
    wishes = None if wish is None else Wishes(residency=wish)
    local, cloud = target("a", at=EU_LOCAL), target("b")
    assert (against(local, wishes=wishes, residency=residency) is None) is is_local
    assert (against(cloud, wishes=wishes, residency=residency) is None) is is_cloud


places = st.builds(
    lambda residency, up, bypass, tier, off: (residency, up, bypass, tier, off),
    st.sampled_from(("local", "cloud")),
    st.booleans(),
    st.booleans(),
    st.integers(1, 2),
    st.sampled_from((None, None, "off")),
)


@given(
    st.lists(st.lists(places, max_size=3), min_size=1, max_size=3),
    st.sampled_from((None, "local")),
    st.sampled_from((None, "local")),
)
def test_residency_never_leaks_and_nobody_is_lost(
    models: list[list[tuple[str, bool, bool, int, str | None]]],
    rule: str | None,
    wish: str | None,
) -> None:
    """Not in fallbacks, not as the last resort; each target is planned or dropped, once."""
    routes = []
    for at, wanted in enumerate(models):
        targets = [
            target(
                f"{at}-{place}",
                at=vendor(f"{at}-{place}", off=off, residency=residency),
                tier=tier,
                bypass=bypass,
                health=FakeHealth(until=0.0 if up else NOW + place),
            )
            for place, (residency, up, bypass, tier, off) in enumerate(wanted)
        ]
        routes.append(route(str(at), *targets))
    chain = tuple(each.model for each in routes[1:])
    planner = Planner(FakeCatalogue(*routes), {})
    wishes = None if wish is None else Wishes(residency=wish)
    plan = planner.plan(routes[0], Known(), NOW, wishes=wishes, residency=rule, fallbacks=chain)
    found = [each.model for each in (*plan.targets, *(each.target for each in plan.dropped))]
    assert sorted(found) == sorted(each.model for of in routes for each in of.targets)
    if rule or wish:
        assert all(each.provider.residency == "local" for each in plan.targets)
    up = [each for each in plan.targets if each.health.why_not(NOW) is None]
    assert not up or len(up) == len(plan.targets)
    assert all(each.provider.off is None for each in plan.targets)
