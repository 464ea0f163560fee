"""How often expressions of rules failed in this worker, for control to tell.

They are counted where the rules are (routing/rules.py), so from the load of the configuration on.
"""

from proxy.core.runtime import Runtime
from proxy.routing.agents import AgentsAndRules


def rule_failures(runtime: Runtime) -> dict[str, int]:
    """By name, of the rules whose expression failed."""
    rules = runtime.rules
    if not isinstance(rules, AgentsAndRules):
        return {}
    return {name: failed.count for name, failed in rules.rules.failures.items()}
