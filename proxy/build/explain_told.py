"""What was decided of one request, as JSON has it: the shape that docs/explain.md describes.

Nothing is decided here: it is read off the exchange, the plan and the walls. Money is text in USD,
exact to the last digit; names of a provider's host, its keys and headers are in none of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.base.errors import ProxyError
from proxy.base.jsonio import loads
from proxy.build.explain_policy import policy_told
from proxy.core.exchange import Exchange
from proxy.core.quota import Calendar, Grant, Rule, Sliding
from proxy.core.target import Route, Target
from proxy.limits.bundles import Bundles
from proxy.routing.agents import AgentsAndRules
from proxy.routing.asked import RequestPlanner
from proxy.routing.explain import PlanTold, TargetTold
from proxy.routing.facts import Facts, facts_of
from proxy.routing.rules_told import ConditionTold, explain
from proxy.routing.rules_when import Tokens
from proxy.routing.wishes import wishes_of
from proxy.usage.report_values import usd
from proxy.wire.body import Body
from proxy.wire.parameters import Parameters

_TOO_LARGE = frozenset(("messages", "input", "prompt"))
"""Members too large to show; how many were left out of them is said."""


@dataclass(slots=True)
class Told:
    """What is to be told. `steps`: what each said, None where it was not reached. `bundles`: the
    walls that stand around it; None: none can."""

    x: Exchange
    steps: Mapping[str, str | None]
    refusal: ProxyError | None
    plan: PlanTold | None
    bundles: Bundles | None
    tried: dict[int, dict[str, Any]] = field(default_factory=dict)

    def held(self, target: Target, hold: Grant | None) -> None:
        """It may be sent there, with the body as it is now."""
        x = self.x
        self.tried[id(target)] = {
            "held_usd": _usd(hold.money if hold is not None else None),
            "output_cap": x.cap,
            "messages_left_out": x.left_out,
            "parameters": _changed(x),
            "refused": None,
        }

    def refused(self, target: Target, error: ProxyError) -> None:
        """It may not."""
        self.tried[id(target)] = {"refused": _error(error)}


def told(made: Told) -> dict[str, Any]:
    """All of it."""
    x = made.x
    facts = facts_of(x)
    return {
        "object": "explanation",
        "config": x.runtime.version,
        "request": _request(x, facts, made),
        "caller": _caller(x),
        "steps": [
            {"name": name, "verdict": verdict or "not reached"}
            for name, verdict in made.steps.items()
        ],
        "refusal": None if made.refusal is None else _refusal(made),
        "rules": _rules(x, facts) if made.steps["rules"] else [],
        "decision": _decision(x),
        "model": _model(x),
        "walls": _walls(made),
        "by_lot": made.plan is not None and made.plan.by_lot,
        "targets": _targets(made),
        "dropped": _dropped(made),
        "policies": _policies(made),
    }


def _request(x: Exchange, facts: Facts, made: Told) -> dict[str, Any]:
    plan, body = made.plan, x.body
    wishes = None
    if plan is not None:  # What cannot be understood was refused before there was one.
        wishes = wishes_of(x.incoming, body if isinstance(body, Body) else None)
    wished = {} if wishes is None else wishes._asdict()
    if wished.get("max_cost") is not None:
        wished["max_cost"] = usd(wished["max_cost"])
    return {
        "operation": x.operation.name,
        "model": x.model,
        "stream": x.stream,
        "labels": x.labels._asdict(),
        "input_tokens": facts.content_tokens,
        "output_tokens": plan.tokens_out or None if plan is not None else None,
        "complexity": round(plan.complexity, 3) if plan is not None else None,
        "needs": sorted(plan.needs) if plan is not None else None,
        "wishes": {name: value for name, value in wished.items() if value is not None},
    }


def _caller(x: Exchange) -> dict[str, Any]:
    who = x.caller
    return {
        "key": who.name,
        "team": who.team,
        "user": who.user,
        "project": who.project,
        "agent": who.agent,
        "tags": who.tags,
        "tier": who.tier,
        "clearance": who.clearance.name.lower(),
        "roles": sorted(role.removeprefix("role:") for role in who.roles),
    }


def _refusal(made: Told) -> dict[str, Any]:
    assert made.refusal is not None
    step = next((name for name, verdict in made.steps.items() if verdict == "refuses"), None)
    return {"step": step, **_error(made.refusal)}


def _error(error: ProxyError) -> dict[str, Any]:
    return {
        "status": error.status,
        "type": error.type,
        "code": error.code,
        "param": error.param,
        "message": error.message,
    }


def _rules(x: Exchange, facts: Facts) -> list[dict[str, Any]]:
    found = x.runtime.rules
    if not isinstance(found, AgentsAndRules):
        return []
    return [
        {
            "name": each.name,
            "priority": each.priority,
            "held": each.held,
            "conditions": [_condition(one) for one in each.conditions],
        }
        for each in explain(found.rules, facts)
    ]


def _condition(told: ConditionTold) -> dict[str, Any]:
    return {
        "name": told.name,
        "wanted": _plain(told.wanted),
        "found": _plain(told.found),
        "held": told.held,
    }


def _plain(value: object) -> object:
    match value:
        case Tokens():
            return {"min": value.least, "max": value.most}
        case frozenset():
            return sorted(value)
        case _:
            return value


def _decision(x: Exchange) -> dict[str, Any] | None:
    rule = x.rule
    if rule is None:
        return None
    return {
        "rule": rule.name,
        "use": rule.use,
        "fallback": rule.fallback,
        "residency": "local" if rule.local else None,
        "windowed": rule.windowed,
        "parameters": _parameters(rule.parameters),
    }


def _parameters(found: Parameters | None) -> dict[str, Any] | None:
    if found is None:
        return None
    kinds = {"default": found.default, "limit": found.limit, "force": found.force}
    return {kind: {name: loads(text) for name, text in of.items()} for kind, of in kinds.items()}


def _model(x: Exchange) -> dict[str, Any] | None:
    route = x.route
    if route is None:
        return None
    listed = route.authorized
    return {
        "asked": x.model,
        "meant": x.rule.use if x.rule is not None and x.rule.use is not None else x.model,
        "configured": route.model,
        "access": route.access.name.lower(),
        "authorized": sorted(listed) if listed is not None else None,
        "off": route.off,
        "parameters": _parameters(route.policy.parameters),
    }


def _walls(made: Told) -> dict[str, Any]:
    """What stands around the request, of its targets' providers too."""
    x, bundles = made.x, made.bundles
    if bundles is None or x.route is None:
        return {"limits": [], "budgets": [], "tokens_per_request": None}
    bundle = bundles.of(x)
    found = dict.fromkeys(bundle.rates.rules if bundle.rates is not None else ())
    found |= dict.fromkeys(bundle.budgets)
    for target in _all_targets(made):
        asked = bundles.attempt(bundle, target)
        found |= dict.fromkeys(asked.quota.rules if asked is not None else ())
    most = bundle.per_request
    return {
        "limits": [_limit(rule) for rule in found if rule.measure != "money"],
        "budgets": [_budget(rule) for rule in found if rule.measure == "money"],
        "tokens_per_request": None if most is None else {"scope": str(most[1]), "limit": most[0]},
    }


def _limit(rule: Rule) -> dict[str, Any]:
    seconds = rule.window.seconds if isinstance(rule.window, Sliding) else None
    return {
        "scope": str(rule.scope),
        "name": rule.name,
        "measure": rule.measure,
        "limit": rule.limit,
        "seconds": seconds,
    }


def _budget(rule: Rule) -> dict[str, Any]:
    period = rule.window.period if isinstance(rule.window, Calendar) else None
    return {
        "scope": str(rule.scope),
        "usd": usd(rule.limit),
        "period": period,
        "hard": rule.hard,
    }


def _all_targets(made: Told) -> Iterator[Target]:
    if made.plan is not None:
        yield from (each.target for each in made.plan.targets)
        yield from (each.target for each in made.plan.dropped)


def _targets(made: Told) -> list[dict[str, Any]]:
    if made.plan is None:
        return []
    return [_target(place, each, made) for place, each in enumerate(made.plan.targets, 1)]


def _target(place: int, each: TargetTold, made: Told) -> dict[str, Any]:
    target = each.target
    marks = each.marks._asdict() if each.marks is not None else {}
    latency = target.health.latency()
    return {
        "place": place,
        **_named(target),
        "tier": target.tier,
        "weight": target.weight,
        "share": round(each.share, 3),
        "quality": target.quality,
        "latency": None if latency is None else round(latency, 3),
        "score": {name: round(value, 3) for name, value in marks.items() if name != "target"},
        "likely_usd": _usd(each.likely),
        "most_usd": _usd(each.most),
        **made.tried.get(id(target), {}),
    }


def _dropped(made: Told) -> list[dict[str, Any]]:
    if made.plan is None:
        return []
    return [
        {**_named(each.target), "cause": each.cause, "reason": each.reason}
        for each in made.plan.dropped
    ]


def _named(target: Target) -> dict[str, Any]:
    return {"route": target.route, "provider": target.provider.name, "model": target.model}


def _policies(made: Told) -> list[dict[str, Any]]:
    """How hard each model in question tries, in the order of the plan. Where a request goes after
    its model, and how long all of it may take, says the first."""
    x, found = made.x, dict[str, Route]()
    if x.route is None:
        return []
    found[x.route.model] = x.route
    for target in _all_targets(made):
        if target.route not in found and (route := _route(x, target)) is not None:
            found[target.route] = route
    planner = x.runtime.planner
    assert isinstance(planner, RequestPlanner)  # As build/ makes it.
    return [
        policy_told(name, planner.strategy(route).name, route.policy)
        for name, route in found.items()
    ]


def _route(x: Exchange, target: Target) -> Route | None:
    routes = x.runtime.catalogue.routes()
    return next((route for route in routes if route.model == target.route), None)


def _changed(x: Exchange) -> dict[str, Any]:
    """Members of the body that are set, or left out (null), before it goes to a target."""
    body = x.body
    if not isinstance(body, Body):
        return {}
    before, after = loads(_original(x)), loads(body.raw)
    names = [*after, *(name for name in before if name not in after)]
    return {
        name: after.get(name)
        for name in names
        if name not in _TOO_LARGE and before.get(name) != after.get(name)
    }


def _original(x: Exchange) -> bytes:
    return getattr(x.incoming, "body", b"{}")


def _usd(nano: int | None) -> str | None:
    return usd(nano) if nano is not None else None
