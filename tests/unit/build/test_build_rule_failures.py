"""What a worker says of rules whose expression failed."""

from dataclasses import replace

from proxy.build.rule_failures import rule_failures
from proxy.core.rules import Rule
from proxy.routing.agents import AgentsAndRules
from proxy.routing.facts import Facts
from proxy.routing.rules import Rule as RoutingRule
from proxy.routing.rules import Rules
from proxy.routing.rules_when import ExpressionFailed, When
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, runtime


class Broken:
    """An expression that fails for every request."""

    text = "1 / 0 == 1"

    def holds(self, _facts: Facts, /) -> bool:
        raise ExpressionFailed("divided by zero")


def test_failures_are_told_by_rule() -> None:
    rules = Rules([RoutingRule("odd", Rule("odd"), When(expression=Broken()))])
    run = replace(runtime({}), rules=AgentsAndRules(rules, {}))
    assert rule_failures(run) == {}
    x = exchange(run, FakeIncoming(b'{"model":"m"}'))
    x.model = "m"
    for _ in range(3):
        assert run.rules is not None
        assert run.rules.decide(x) is None
    assert rule_failures(run) == {"odd": 3}


def test_without_rules_there_are_none() -> None:
    assert rule_failures(runtime({})) == {}
