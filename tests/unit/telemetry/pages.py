"""Reads our metrics as Prometheus does: with its own client's parsers."""

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_plain

from proxy.telemetry.metrics import Metrics

ACCEPT_OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(metrics: Metrics, accept: str = "") -> Samples:
    """All samples by name and labels; the same one twice fails."""
    read = read_openmetrics if accept else read_plain
    found: Samples = {}
    for family in read(metrics.render(accept).decode()):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"{key} is told twice"
            found[key] = sample.value
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """One sample. Raises KeyError if it is not told."""
    return samples(metrics)[f"llm_proxy_{name}", frozenset(labels.items())]


def total(metrics: Metrics, name: str) -> float:
    """The sum over all labels."""
    return sum(v for (found, _), v in samples(metrics).items() if found == f"llm_proxy_{name}")
