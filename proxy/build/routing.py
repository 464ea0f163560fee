"""Settings of models, rules and agents in; routes, strategies and rules out."""

from collections.abc import Iterator, Mapping

from proxy.build.walls import walls
from proxy.config.agents import Agent
from proxy.config.parameters import Changes
from proxy.config.parameters import Parameters as ParametersSettings
from proxy.config.routing import Hedge as HedgeSettings
from proxy.config.rules import Rule as RuleSettings
from proxy.config.rules import When as WhenSettings
from proxy.config.settings import Model, Settings
from proxy.config.settings import Target as TargetSettings
from proxy.core.caller import Access
from proxy.core.gate import PriceList
from proxy.core.pauses import Allowance
from proxy.core.policy import Breaker, Fallback, Hedge, Policy, Retry
from proxy.core.quota import Scope, Walls
from proxy.core.rules import Rule
from proxy.core.target import Provider, Route, Target
from proxy.routing.agents import AgentsAndRules
from proxy.routing.expression import Compiled, Expressions
from proxy.routing.healths import Healths
from proxy.routing.rules import Rule as RoutingRule
from proxy.routing.rules import Rules
from proxy.routing.rules_when import Tokens, When
from proxy.routing.strategies.named import strategy
from proxy.routing.strategies.port import Strategy
from proxy.routing.strategies.score import Weights
from proxy.wire.parameters import Parameters

_OPERATIONS = frozenset(
    (
        *("chat", "completions", "responses", "embeddings", "moderations", "images", "speech"),
        *("transcriptions", "rerank"),
    )
)


def routes(
    settings: Settings,
    providers: Mapping[str, Provider],
    healths: Healths,
    prices: PriceList | None,
) -> Iterator[Route]:
    """The configured models."""
    for name, model in settings.models.items():
        listed = model.authorized
        names = [
            *(f"user:{user}" for user in listed.users),
            *(f"role:{role}" for role in listed.roles),
        ]
        policy = policy_of(model)
        around = walls(Scope("model", name), model.limits, model.budgets)
        yield Route(
            name,
            tuple(
                _target(
                    name, model, each, providers[each.provider], policy, around, healths, prices
                )
                for each in model.targets
            ),
            Access[model.access.upper()],
            frozenset(names) if names else None,
            around,
            policy,
            "its `status` is inactive" if model.status == "inactive" else None,
        )


def _target(  # noqa: PLR0917 - Everything that one is made of.
    name: str,
    model: Model,
    target: TargetSettings,
    provider: Provider,
    policy: Policy,
    around: Walls,
    healths: Healths,
    prices: PriceList | None,
) -> Target:
    able = target.capabilities if target.capabilities is not None else model.capabilities
    window = target.context_window or model.context_window
    if window is None and prices is not None and "*" not in target.model:
        rates = prices.most(target.provider, target.model, 0, "")
        window = rates.window if rates is not None else None
    return Target(
        provider,
        target.model,
        target.weight,
        target.tier,
        target.quality if target.quality is not None else model.quality,
        capabilities(able),
        window,
        name,
        len({each.tier for each in model.targets}) > 1,
        model.status == "deprecated",
        policy,
        around,
        healths.of(name, target.provider, target.model, policy.breaker),
    )


def capabilities(declared: tuple[str, ...] | None) -> frozenset[str] | None:
    """What a target can do. Where no operation is among it, it is for all of them."""
    if declared is None:
        return None
    able = frozenset(declared)
    return able if able & _OPERATIONS else able | _OPERATIONS


def policy_of(model: Model) -> Policy:
    """How hard a model tries."""
    retry, fallback, breaker = model.retry, model.fallback, model.breaker
    return Policy(
        Retry(retry.attempts, retry.initial, retry.max),
        Fallback(fallback.models, frozenset(fallback.on), fallback.max_attempts, fallback.total),
        Breaker(breaker.failures, breaker.recovery, breaker.probes, breaker.bypass),
        _hedge(model.hedge),
        model.rescue,
        _parameters(model.parameters),
    )


def _hedge(hedge: HedgeSettings) -> Hedge | None:
    late = hedge.after
    if late is None or not hedge.share:
        return None
    allowance = Allowance(hedge.share)
    if isinstance(late, str):
        return Hedge(quantile=int(late[1:]) / 100, allowance=allowance)
    return Hedge(after=late, allowance=allowance)


def _parameters(changes: Changes | ParametersSettings) -> Parameters | None:
    refuse = isinstance(changes, ParametersSettings) and changes.unsupported == "refuse"
    if not (changes.default or changes.limit or changes.force or refuse):
        return None
    return Parameters.of(changes.default, changes.limit, changes.force, refuse_unsupported=refuse)


def strategies(settings: Settings) -> dict[str, Strategy]:
    """The strategy of each model that has one of its own."""
    return {
        name: strategy(
            model.strategy,
            Weights(
                cost=model.score.cost,
                latency=model.score.latency,
                quality=model.score.quality,
                capability=model.score.capability,
            ),
        )
        for name, model in settings.models.items()
        if model.strategy != "weighted"
    }


def rules(settings: Settings) -> AgentsAndRules | None:
    """The rules, and what agents have in their place; None: there are none.

    Raises ValueError for an expression that cannot be used."""
    found = [rule for rule in settings.rules if rule.active]
    agents = {
        name: decision
        for name, agent in settings.agents.items()
        if (decision := _of_agent(name, agent)) is not None
    }
    if not found and not agents:
        return None
    expressions = Expressions() if any(rule.when.expression for rule in found) else None
    return AgentsAndRules(Rules(_rule(rule, expressions) for rule in found), agents)


def _rule(rule: RuleSettings, expressions: Expressions | None) -> RoutingRule[Rule]:
    decision = Rule(
        rule.name, rule.use, rule.fallback, _parameters(rule.parameters), rule.residency == "local"
    )
    compiled = None
    if expressions is not None and rule.when.expression is not None:
        compiled = expressions.compile(rule.when.expression)
    return RoutingRule(rule.name, decision, _when(rule.when, compiled), rule.priority)


def _when(when: WhenSettings, expression: Compiled | None) -> When:
    tokens = when.content_tokens
    return When(
        models=when.model or (),
        tasks=when.task or (),
        user_tiers=when.user_tier or (),
        agents=when.agent or (),
        tags=when.tags or (),
        teams=when.team or (),
        content_tokens=Tokens(tokens.min, tokens.max) if tokens is not None else None,
        contains_code=when.contains_code,
        contains_math=when.contains_math,
        modality=when.modality or (),
        tools=when.tools,
        languages=when.language or (),
        expression=expression,
    )


def _of_agent(name: str, agent: Agent) -> Rule | None:
    parameters = _parameters(agent.parameters)
    windowed = agent.context == "windowed"
    if agent.model is None and agent.fallback is None and parameters is None and not windowed:
        return None
    return Rule(f"agent {name}", agent.model, agent.fallback, parameters, windowed=windowed)
