"""What a configuration decides for a request, in lines for people: rules, agents, models.

Only what is set is printed of a model: what every model does tells nobody anything.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.build.explain_policy import policy_told, policy_words
from proxy.build.routing import policy_of
from proxy.config.agents import Agent
from proxy.config.parameters import Changes
from proxy.config.rules import Rule
from proxy.config.settings import Model, Settings


def rule_lines(settings: Settings) -> Iterator[str]:
    """Rules in the order in which they are looked at, then what holds for agents."""
    for rule in sorted(settings.rules, key=lambda rule: -rule.priority):
        off = "" if rule.active else " (not active)"
        priority = f", priority {rule.priority}" if rule.priority else ""
        yield f"  {rule.name}{priority}{off}: {_conditions(rule)} → {_decision(rule)}"
    for name, agent in settings.agents.items():
        decided = list(_of_agent(agent))
        if decided:
            yield f"  agent {name}, where no rule says another: {', '.join(decided)}"


def target_lines(settings: Settings) -> Iterator[str]:
    """Every target of every model, with its share of the requests where that is fixed."""
    for name, model in settings.models.items():
        several = len({target.tier for target in model.targets}) > 1
        for target in model.targets:
            said = [f"tier {target.tier}"] if several else []
            weights = [each.weight for each in model.targets if each.tier == target.tier]
            total = sum(weights)
            if len(weights) > 1 and total > 0 and model.strategy in {"weighted", "round_robin"}:
                said.append(f"{100 * target.weight / total:.0f} %")
            if settings.providers[target.provider].off_reason:
                said.append("(off)")
            yield " ".join((f"  {name} → {target.provider}/{target.model}", *said))


def chain_lines(settings: Settings) -> Iterator[str]:
    """Models that try harder than one try after the other, or go on with another model."""
    usual = set(_words(Model.model_construct(targets=())))
    for name, model in settings.models.items():
        said = [each for each in _words(model) if each not in usual]
        if chain := model.fallback.models:
            said.insert(0, f"→ {' → '.join(chain)} on {', '.join(model.fallback.on)}")
        if model.status != "active":
            said.insert(0, model.status)
        if said:
            yield f"  {name}: {'; '.join(said)}"


def _words(model: Model) -> list[str]:
    return list(policy_words(policy_told("", model.strategy, policy_of(model))))


def _conditions(rule: Rule) -> str:
    asked = rule.when.model_dump(exclude_defaults=True)
    return ", ".join(f"{name} {_wanted(value)}" for name, value in asked.items()) or "everything"


def _wanted(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple() | list():
            return "|".join(map(str, value))
        case Mapping():
            return " ".join(f"{name} {each}" for name, each in value.items())
        case _:
            return str(value)


def _decision(rule: Rule) -> str:
    said = [rule.use or "the model asked for", *_fallback(rule.fallback)]
    if rule.residency is not None:
        said.append("local providers only")
    said += _parameters(rule.parameters)
    return ", ".join(said)


def _of_agent(agent: Agent) -> Iterator[str]:
    if agent.model is not None:
        yield agent.model
    yield from _fallback(agent.fallback)
    yield from _parameters(agent.parameters)
    if agent.context == "windowed":
        yield "cut to fit the window"


def _fallback(models: tuple[str, ...] | None) -> Iterator[str]:
    if models is not None:
        yield f"then {' → '.join(models)}" if models else "no fallback"


def _parameters(changes: Changes) -> Iterator[str]:
    kinds: dict[str, Mapping[str, Any]] = {
        "default": changes.default,
        "limit": changes.limit,
        "force": changes.force,
    }
    for kind, values in kinds.items():
        if values:
            yield f"{kind} {', '.join(f'{name} {value}' for name, value in values.items())}"
