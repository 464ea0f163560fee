"""Settings of accounting: what is recorded, where it is kept, what it costs and who is told.

`proxy/usage`, `proxy/stores` and `proxy/telemetry` get these as plain values from `build/`. What
cannot change while we run (`store`, `data_dir`, `admin.listen`) stands here like the rest; the
supervisor compares it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from proxy.config.addresses import ADMIN, CollectorUrl, Listen
from proxy.config.amounts import Usd
from proxy.config.fields import Fields, said
from proxy.config.section import SettingsSection
from proxy.config.values import Fraction, Interval, Key, SegmentSize, distinct, some

Naming = Literal["gen_ai", "openinference"]
MetricLabel = Literal["model", "provider", "status", "team", "key", "operation", "outcome"]


class Spool(SettingsSection):
    """Where usage records wait, on disk, until the store has them."""

    failure: Literal["refuse", "continue"] = "refuse"
    """New requests while no record can be written: refused, or served and counted."""
    sync: Interval = 1.0
    """How often records are forced to the disk: what the death of the machine can take."""
    segment: SegmentSize = 64 * 1024 * 1024
    """A new file is begun when one is as large as this."""
    age: Interval = 60.0
    """A new file is begun when one is as old as this."""


class Admin(SettingsSection):
    """The admin port: metrics and health for all, the API for who has the key."""

    listen: Listen = ADMIN
    """Where it listens."""
    key: Key | None = None
    """What its callers send. None: nothing but /healthz and /metrics is answered."""

    @classmethod
    def derive(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in data.items() if (k, v) != ("key", "")}


class Price(SettingsSection):
    """What a model costs, instead of the price table's entry; a class left out is None."""

    input: Usd | None = None
    """USD per million tokens, like all but the last two."""
    output: Usd | None = None
    cached_input: Usd | None = None
    cache_write: Usd | None = None
    reasoning: Usd | None = None
    audio_input: Usd | None = None
    audio_output: Usd | None = None
    image: Usd | None = None
    """USD each."""
    request: Usd | None = None
    """USD each."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("must have at least one price; to use the price table, leave it out")
        return self


class Otlp(SettingsSection):
    """Export of traces and metrics to an OpenTelemetry collector."""

    endpoint: CollectorUrl | None = None
    """Its base URL. None: nothing is exported."""
    protocol: Literal["http/protobuf", "grpc"] = "http/protobuf"
    """How it is spoken to."""
    sample: Fraction = 1.0
    """The part of the traces that is exported."""
    names: Annotated[tuple[Naming, ...], AfterValidator(some), AfterValidator(distinct)] = (
        "gen_ai",
        "openinference",
    )
    """Whose attribute names the spans carry."""
    headers: Fields = Field(default_factory=dict)
    """Header fields sent with every export."""

    @classmethod
    def derive(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        derived = {k: v for k, v in data.items() if (k, v) != ("endpoint", "")}
        if isinstance(headers := data.get("headers"), Mapping):
            derived["headers"] = said(headers)
        return derived


class Metrics(SettingsSection):
    """What is counted for Prometheus."""

    labels: Annotated[tuple[MetricLabel, ...], AfterValidator(distinct)] = (
        "model",
        "provider",
        "status",
        "team",
    )
    """The labels of what is counted per request."""
