"""What a caller is told when nothing is left: status, code, reasons, when to come back."""

import math

import pytest

from proxy.base.errors import BadRequest, OperatorError
from proxy.routing.planner_checks import Cause, Dropped
from proxy.routing.planner_refusal import nothing_left
from tests.unit.routing.planned_targets import FakeHealth, target

NOW = 100.0


def dropped(name: str, cause: Cause, reason: str = "because", until: float = 0.0) -> Dropped:
    return Dropped(target(name, health=FakeHealth(until=until)), reason, cause)


@pytest.mark.parametrize(
    "cause",
    [
        "residency",
        "region",
        "provider",
        "capability",
        "window",
        "quality",
        "tier",
        "cost",
        "latency",
    ],
)
def test_what_lies_in_the_request_is_a_400(cause: Cause) -> None:
    error = nothing_left([dropped("a", cause, "it is so"), dropped("b", "off", "no key")], NOW)
    assert isinstance(error, BadRequest)
    assert (error.status, error.code) == (400, "no_target_meets_request")
    assert error.message == (
        "no target can take this request as it is: `a/a`: it is so; `b/b`: no key"
    )


def test_open_breakers_say_when_to_come_back() -> None:
    error = nothing_left(
        [
            dropped("a", "breaker", until=NOW + 7.2),
            dropped("b", "breaker", until=NOW + 30),
            dropped("c", "cost", until=0),
        ],
        NOW,
    )
    assert isinstance(error, OperatorError)
    assert (error.status, error.code) == (503, "no_healthy_target")
    assert error.headers == ((b"retry-after", b"8"),)


@pytest.mark.parametrize(("until", "headers"), [(NOW, ((b"retry-after", b"1"),)), (math.inf, ())])
def test_a_breaker_that_closes_at_once_or_never(
    until: float, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    assert nothing_left([dropped("a", "breaker", until=until)], NOW).headers == headers


def test_what_the_operator_switched_off_is_not_worth_another_try() -> None:
    error = nothing_left([dropped("a", "off", "no key")], NOW)
    assert isinstance(error, OperatorError)
    assert error.headers == ((b"x-should-retry", b"false"),)
    assert error.message == "nothing can answer this request now: `a/a`: no key"


def test_nothing_is_said_of_models_that_the_caller_may_not_use() -> None:
    error = nothing_left([dropped("a", "off"), dropped("secret", "access", "of secrets")], NOW)
    assert "secret" not in error.message
    assert error.message.endswith("other fallbacks are not for this key")


def test_the_message_is_bounded() -> None:
    many = [dropped("n" * 5000, "cost", "r" * 5000) for _ in range(1000)]
    message = nothing_left(many, NOW).message
    assert len(message) < 3000
    assert message.endswith("; and 992 more")


def test_a_model_without_targets() -> None:
    assert nothing_left([], NOW).message == "nothing can answer this request now: it has no targets"
