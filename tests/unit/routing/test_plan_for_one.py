"""The short way to a plan, of one target and no wishes: taken where it is right, and only there."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from proxy.base.errors import ProxyError
from proxy.core.exchange import Exchange
from proxy.core.rules import Rule
from proxy.core.target import Route, Target
from proxy.middleware.labels import labels
from proxy.routing.asked import Asked, RequestPlanner
from proxy.routing.catalogue import Models
from proxy.routing.planner import Planner
from proxy.routing.wishes import Wishes
from proxy.wire.body import Body
from proxy.wire.own_fields import FIELDS, LABELS, MEMBERS, WISHES, field
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, runtime
from tests.unit.routing.planned_targets import FakeHealth, route, target
from tests.unit.routing.test_explain_plan import Prices

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hello there"}]}'
REST = b',"messages":[]}'


class Planned(RequestPlanner):
    """Counts how often it had to think."""

    __slots__ = ("thought",)

    def __init__(self, of: Route) -> None:
        super().__init__(Planner(Models([of]), {}), Prices(), lambda _x, _model, _route: None)
        self.thought = 0

    def ask(self, x: Exchange) -> Asked:
        self.thought += 1
        return super().ask(x)


def asked(of: Route, body: bytes = BODY, headers: Iterable[tuple[str, str]] = ()) -> Exchange:
    """A request whose labels were read."""
    x = exchange(runtime({"m": of.targets}), FakeIncoming(body, headers=headers))
    x.body, x.model, x.route = Body(body), "m", of
    labels(x)
    return x


def test_a_request_that_says_nothing_gets_the_one_target() -> None:
    of = route("m", target("1"))
    planner, x = Planned(of), asked(of)
    assert x.unmarked
    for _ in range(2):
        assert planner.plan(x, of) is of.targets
    assert planner.thought == 0


LONGER: dict[str, Callable[[], tuple[Route, Exchange]]] = {}


def longer(name: str, of: Route, x: Callable[[Route], Exchange]) -> None:
    LONGER[name] = lambda: (of, x(of))


def ruled(of: Route) -> Exchange:
    x = asked(of)
    x.rule = Rule("r")
    return x


longer("two targets", route("m", target("1"), target("2", 0)), asked)
longer("fallbacks", route("m", target("1"), fallbacks=("m",)), asked)
longer("capabilities", route("m", target("1", capabilities=["chat"])), asked)
longer("window", route("m", target("1", window=1000)), asked)
longer("rule", route("m", target("1")), ruled)
longer("wish", route("m", target("1")), lambda of: asked(of, BODY, [(field("provider"), "1")]))


@pytest.mark.parametrize("make", LONGER.values(), ids=LONGER)
def test_what_has_more_to_it_is_thought_about(make: Callable[[], tuple[Route, Exchange]]) -> None:
    of, x = make()
    planner = Planned(of)
    assert planner.plan(x, of)[0] is of.targets[0]
    assert planner.thought > 0


@pytest.mark.parametrize(
    "only",
    [
        target("1", health=FakeHealth(until=1e12)),
        target("1", health=FakeHealth(barred="it is off")),
        target("1", window=1),
    ],
)
def test_what_is_in_the_way_of_the_one_target_is_seen(only: Target) -> None:
    of = route("m", only)
    with pytest.raises(ProxyError):
        Planned(of).plan(asked(of), of)


def test_what_comes_up_later_is_seen() -> None:
    health = FakeHealth()
    of = route("m", target("1", health=health))
    planner, x = Planned(of), asked(of)
    assert planner.plan(x, of) is of.targets
    health.until = 1e12
    with pytest.raises(ProxyError):
        planner.plan(x, of)


def test_a_wish_counts_where_labels_were_not_read() -> None:
    of = route("m", target("1"))
    x = asked(of, BODY, [(field("provider"), "2")])
    x.unmarked = False
    with pytest.raises(ProxyError):
        Planned(of).plan(x, of)


def test_routes_are_told_apart_though_they_look_the_same() -> None:
    first = route("m", target("1"))
    again = replace(first, targets=(target("2"),))
    planner = Planned(first)
    assert planner.plan(asked(first), first)[0].model == "1"
    assert planner.plan(asked(again), again)[0].model == "2"


def test_every_wish_is_among_the_fields_that_are_looked_for() -> None:
    assert Wishes._fields == WISHES
    assert set(FIELDS) == {field(name) for name in (*WISHES, *LABELS)}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_ours_marks_a_request(name: str) -> None:
    of = route("m", target("1"))
    value = {"residency": "cloud", "tier": "1", "max-latency": "1s"}.get(name[12:], "0.5")
    assert not asked(of, BODY, [(name.title(), value)]).unmarked


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_member_that_may_say_it_marks_a_request(name: str) -> None:
    of = route("m", target("1"))
    assert not asked(of, b'{"%b":null' % name.encode() + REST).unmarked
    assert asked(of, b'{"x%b":null' % name.encode() + REST).unmarked


def test_a_route_is_reachable_while_one_of_its_providers_is() -> None:
    on, off = target("1"), target("2")
    off = replace(off, provider=replace(off.provider, off="it has no key"))
    assert Route("m", (off, on)).reachable
    assert not Route("m", (off,)).reachable
    assert not replace(Route("m", (on,)), targets=(off,)).reachable
