"""Which providers are asked how they are, and how: settings in, questions out."""

import logging
from collections.abc import Iterator, Mapping

from proxy.config.settings import Settings
from proxy.core.gate import PriceList
from proxy.core.target import Provider
from proxy.providers.openai_probe import MOST_OUTPUT, PROMPT_TOKENS, completion, models
from proxy.routing.probes import Question

log = logging.getLogger("llm-proxy.probes")

_NANO = 10**9
_PER_NANO = 10**6
"""Rates count in millionths of a nano-USD."""


def questions(
    settings: Settings, providers: Mapping[str, Provider], prices: PriceList
) -> Iterator[Question]:
    """Those of a configuration."""
    for name, each in settings.providers.items():
        provider, health = providers[name], each.health
        if health.probe == "none" or provider.off is not None or each.kind != "openai":
            continue
        if health.probe == "models":
            yield Question(provider, models(provider), health.every)
            continue
        model = _a_model(settings, name)
        most = _most(prices, name, model) if model is not None else None
        if model is None or most is None:
            lacks = "no model of it is configured" if model is None else f"{model} has no price"
            log.warning("`%s` is not asked for completions to see if it is well: %s", name, lacks)
            continue
        daily = int(health.daily_cost * _NANO)
        yield Question(provider, completion(provider, model), health.every, most, daily)


def asks(settings: Settings, worker: str) -> bool:
    """Whether it is this worker that asks: one on each host, where breakers are shared."""
    return settings.redis is None or worker.endswith("-0")


def _a_model(settings: Settings, provider: str) -> str | None:
    """The first that is written for it, and that can chat as far as anybody said."""
    for model in settings.models.values():
        for target in model.targets:
            able = target.capabilities if target.capabilities is not None else model.capabilities
            chats = able is None or "chat" in able
            if target.provider == provider and "*" not in target.model and chats:
                return target.model
    return None


def _most(prices: PriceList, provider: str, model: str) -> int | None:
    rates = prices.most(provider, model, PROMPT_TOKENS, "default")
    if rates is None:
        return None
    tokens = PROMPT_TOKENS * rates.input + MOST_OUTPUT * rates.output
    return -(-tokens // _PER_NANO) + rates.request
