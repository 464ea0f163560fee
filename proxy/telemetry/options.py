"""What telemetry is built from: plain values, so that it knows no configuration.

`Known` is what bounds everything: a word that is not configured becomes `other`, whoever sent it.
Header values are credentials of the collector: they do not show in a `repr`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

Label = Literal["model", "provider", "status", "team", "key", "operation", "outcome"]
Names = Literal["gen_ai", "openinference"]
Protocol = Literal["http/protobuf", "grpc"]

DEFAULT_LABELS: tuple[Label, ...] = ("model", "provider", "status", "team")


@dataclass(frozen=True, slots=True)
class Known:
    """Configured names: the only values that labels take."""

    models: frozenset[str] = frozenset()  # As callers ask for them, patterns as they are written.
    providers: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()  # Names of keys, never keys.
    upstream_models: frozenset[str] = frozenset()  # As vendors call them.


@dataclass(frozen=True, slots=True)
class Vendor:
    """What spans say of a configured provider. `kind` is the configuration's word for it."""

    kind: str
    address: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """`label_sets`: how many combinations of label values are counted apart; `timing_sets`: the
    same for histograms, which are some sixty series each."""

    labels: tuple[Label, ...] = DEFAULT_LABELS
    label_sets: int = 2_000
    timing_sets: int = 300


@dataclass(frozen=True, slots=True)
class Pace:
    """When spans leave, in seconds, and how much may wait for it.

    `flush`: the longest a span waits for company. `timeout`: one export. `first_backoff` doubles up
    to `longest_backoff`; after `patience` a batch that was never taken is dropped.
    """

    flush: float = 1.0
    timeout: float = 10.0
    first_backoff: float = 1.0
    longest_backoff: float = 30.0
    patience: float = 300.0
    metrics_every: float = 60.0
    last_words: float = 5.0
    waiting_records: int = 8_192
    waiting_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OtlpOptions:
    """Where spans and `gen_ai.*` metrics go. `endpoint` is the collector's base URL; for gRPC
    `http://host:port`, `https://host:port` or `host:port`, which is without TLS."""

    endpoint: str
    protocol: Protocol = "http/protobuf"
    sample: float = 1.0
    names: frozenset[Names] = frozenset(("gen_ai", "openinference"))
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    metrics: bool = True
    pace: Pace = Pace()


@dataclass(frozen=True, slots=True)
class TelemetryOptions:
    """All of it. Without `otlp` nothing leaves the process."""

    known: Known = Known()
    vendors: Mapping[str, Vendor] = field(default_factory=dict)
    metrics: MetricsOptions = MetricsOptions()
    otlp: OtlpOptions | None = None
    version: str = "0"
    instance: str | None = None  # Tells several proxies apart: service.instance.id.
    resource: Mapping[str, str] = field(default_factory=dict)  # Further resource attributes.


def headers_of(text: str) -> dict[str, str]:
    """`name=value,name=value` with percent-encoding, as OTEL_EXPORTER_OTLP_HEADERS is written.

    Raises ValueError."""
    headers = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"`{name[:40]}` must be written as name=value")
        headers[name.strip().lower()] = unquote(value.strip())
    return headers
