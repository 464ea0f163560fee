"""What is decided about a request: by the first rule that takes it, else by the entry of its agent.

Of an agent whose request a rule has taken, what the rule leaves open still holds: its parameters,
its fallback, and whether its conversations are cut to fit.
"""

from collections.abc import Mapping
from dataclasses import replace

from proxy.core.exchange import Exchange
from proxy.core.rules import Rule
from proxy.routing.facts import Facts, facts_of
from proxy.routing.rules import Rule as RoutingRule
from proxy.routing.rules import Rules


class AgentsAndRules:
    """The port `Rules` of a configuration."""

    __slots__ = ("_agents", "_both", "rules")

    def __init__(self, rules: Rules[Rule], agents: Mapping[str, Rule]) -> None:
        self.rules = rules
        self._agents = agents
        self._both: dict[tuple[str, str], Rule] = {}

    def decide(self, x: Exchange, /) -> Rule | None:
        """What is decided, or None where nothing is."""
        return self.decision(facts_of(x))

    def decision(self, facts: Facts) -> Rule | None:
        """The same, of a request that is not under way."""
        return self.of(self.rules.match(facts) if self.rules.ordered else None, facts.agent)

    def of(self, found: RoutingRule[Rule] | None, name: str | None) -> Rule | None:
        """What is decided by the rule that was found, and by the entry of the agent `name`."""
        agent = self._agents.get(name) if name is not None else None
        if found is None:
            return agent
        rule = found.decision
        if agent is None:
            return rule
        both = self._both.get((rule.name, agent.name))
        if both is None:
            both = self._both[rule.name, agent.name] = _together(rule, agent)
        return both


def _together(rule: Rule, agent: Rule) -> Rule:
    parameters = rule.parameters or agent.parameters
    if rule.parameters is not None and agent.parameters is not None:
        parameters = rule.parameters.under(agent.parameters)
    return replace(
        rule,
        use=rule.use or agent.use,
        fallback=rule.fallback if rule.fallback is not None else agent.fallback,
        parameters=parameters,
        windowed=rule.windowed or agent.windowed,
    )
