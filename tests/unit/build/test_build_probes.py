"""Which providers are asked: only where that is wanted, and what it costs is known."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from proxy.build.probes import asks, questions
from proxy.config.settings import Settings
from proxy.core.gate import NO_PRICES, PriceList, Rates
from proxy.routing.probes import Question
from tests.fakes.exchange import provider
from tests.fakes.wire import FakeTransport

URL = "http://127.0.0.1:1/v1"


class Dear:
    """2.5 USD a million tokens of input, 10 of output."""

    def most(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        known = model == "gpt-4o"
        return Rates(2_500_000_000, 10_000_000_000, 7, 0, 0, 0, 0, None, None) if known else None


def asked(
    health: dict[str, Any], prices: PriceList = NO_PRICES, off: str | None = None, **model: Any
) -> list[Question]:
    settings = Settings.model_validate(
        {
            "auth": "none",
            "providers": {"acme": {"kind": "openai", "base_url": URL, "health": health}},
            "models": {"m": {"targets": [{"provider": "acme", "model": "gpt-4o", **model}]}},
        }
    )
    made = replace(provider("acme", FakeTransport()), off=off)
    return list(questions(settings, {"acme": made}, prices))


def test_nobody_is_asked_by_default() -> None:
    assert asked({}) == []


def test_models_cost_nothing() -> None:
    (question,) = asked({"probe": "models", "every": "5s"})
    assert (question.every, question.most, question.outgoing.target) == (5.0, 0, "/v1/models")


def test_the_most_that_a_completion_can_cost_is_known_before() -> None:
    (question,) = asked({"probe": "completion", "daily_cost": Decimal("0.5")}, Dear())
    assert question.outgoing.target == "/v1/chat/completions"
    assert (question.most, question.daily) == (32 * 2500 + 10_000 + 7, 500_000_000)


@pytest.mark.parametrize(
    "model", [{"model": "free"}, {"model": "*"}, {"capabilities": ["embeddings"]}]
)
def test_without_a_model_that_has_a_price_none_is_sent(model: dict[str, Any]) -> None:
    assert asked({"probe": "completion"}, Dear(), **model) == []


def test_a_provider_that_is_off_is_not_asked() -> None:
    assert asked({"probe": "models"}, off="enabled is false") == []


def test_one_worker_of_a_host_asks_where_breakers_are_shared() -> None:
    alone = Settings.model_validate({"auth": "none"})
    shared = Settings.model_validate({"auth": "none", "redis": "redis://127.0.0.1:1"})
    assert asks(alone, "worker-3")
    assert asks(shared, "worker-0")
    assert not asks(shared, "worker-3")
