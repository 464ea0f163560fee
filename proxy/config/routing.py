"""Settings of how a model is tried: strategy, retry, fallback, hedge, rescue, breaker.

Defaults are those of a cautious proxy: one try at a target, then the next; nothing is sent twice
and nothing is rescued unless it is asked for. What needs several values at once stands in
`checks_models.py`.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, PlainSerializer, PlainValidator, StrictBool, model_validator

from proxy.config.ranges import ExtraLoad, Failures, Tries
from proxy.config.section import SettingsSection
from proxy.config.values import Name, PositiveDuration, Share, distinct, seconds, some

Strategy = Literal[
    "weighted", "round_robin", "least_busy", "latency", "cost", "sticky", "score", "cheapest_above"
]
Status = Literal["active", "inactive", "deprecated"]
Residency = Literal["cloud", "local"]
Trigger = Literal["timeout", "rate_limit", "error", "context_length", "content_filter"]
Capability = Literal[
    "chat", "completions", "responses", "embeddings", "moderations", "images", "speech",
    "transcriptions", "rerank", "tools", "vision", "audio", "json_schema", "prefill",
]  # fmt: skip

_QUANTILE = re.compile(r"p([5-9][0-9])", re.ASCII)


def one_name(value: str) -> str:
    """The name of one model, as a request could ask for it."""
    if "*" in value:
        raise ValueError("must be the name of one model, without `*`")
    return value


def late(value: object) -> float | str:
    """When a first token is late: after a duration, or later than a quantile of those before."""
    if isinstance(value, str) and _QUANTILE.fullmatch(value):
        return value
    try:
        found = seconds(value)
    except ValueError:
        found = 0.0
    if found <= 0:
        raise ValueError("must be a duration such as 2s, or a quantile from p50 to p99")
    return found


Rescue = Annotated[tuple[Literal["prefill", "restart"], ...], AfterValidator(distinct)]
Capabilities = Annotated[tuple[Capability, ...], AfterValidator(distinct)]
ModelName = Annotated[Name, AfterValidator(one_name)]
ModelNames = Annotated[tuple[ModelName, ...], AfterValidator(distinct)]
Late = Annotated[float | str, PlainValidator(late), PlainSerializer(lambda value: value)]


class Score(SettingsSection):
    """What a target is judged by, for strategy `score`; only their proportions count."""

    cost: Share = 0.0
    """The cheaper the better, for this request."""
    latency: Share = 0.0
    """The sooner the first token the better."""
    quality: Share = 0.0
    """As declared."""
    capability: Share = 0.0
    """The more it can do the better."""

    @model_validator(mode="after")
    def _judges_something(self) -> Self:
        if not (self.cost or self.latency or self.quality or self.capability):
            raise ValueError("must give at least one of cost, latency, quality and capability")
        return self


ALL_ALIKE = Score(cost=1.0, latency=1.0, quality=1.0, capability=1.0)


class Retry(SettingsSection):
    """Of the same target, with pauses of full jitter that double each time."""

    attempts: Tries = 1
    """Tries at one target in all."""
    initial: PositiveDuration = 1.0
    """The longest first pause."""
    max: PositiveDuration = 60.0
    """The longest of all."""

    @model_validator(mode="after")
    def _pauses_grow(self) -> Self:
        if self.initial > self.max:
            raise ValueError("must not have an `initial` pause longer than its `max`")
        return self


class Fallback(SettingsSection):
    """Where a request goes after all targets of its model, and how long all of it may take."""

    models: ModelNames = ()
    """In this order."""
    on: Annotated[tuple[Trigger, ...], AfterValidator(some), AfterValidator(distinct)] = (
        "timeout",
        "rate_limit",
        "error",
        "context_length",
    )
    """The failures that lead there."""
    max_attempts: Tries = 6
    """Tries of one request at all targets together."""
    total: PositiveDuration = 120.0
    """No try begins later than this after the request came."""


class Hedge(SettingsSection):
    """A second try while the first is still silent; the quicker answers."""

    after: Late | None = None
    """How late the first token must be: seconds, or a quantile such as `p95`. None: never."""
    share: ExtraLoad = 0.05
    """The part of the requests that may be sent twice."""


class Breaker(SettingsSection):
    """When a target that fails is left alone."""

    failures: Failures = 5
    """So many in a row open it."""
    recovery: PositiveDuration = 15.0
    """For so long."""
    probes: Tries = 1
    """Then so many are let through, to see."""
    bypass: StrictBool = False
    """true: where all targets are left alone, they are asked all the same."""
