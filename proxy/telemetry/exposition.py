"""Writes the text that Prometheus reads: its own format, or OpenMetrics where that is asked for.

The two differ in the names of counters' families and in the last line. All samples of a family
stand together, its head before them; a family without samples is not told.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable
from typing import Literal

from proxy.telemetry.histogram import Histogram

Kind = Literal["counter", "gauge", "histogram"]

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PREFIX = "llm_proxy_"

_NANO = 1_000_000_000


def wants_openmetrics(accept: str) -> bool:
    """Whether an Accept header prefers OpenMetrics to plain text."""
    plain = openmetrics = 0.0
    for part in accept.split(","):
        media, *parameters = (word.strip().lower() for word in part.split(";"))
        weight = _weight(parameters)
        if media == "application/openmetrics-text":
            openmetrics = max(openmetrics, weight)
        elif media == "text/plain":
            plain = max(plain, weight)
    return openmetrics > 0 and openmetrics >= plain


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def label_text(names: Iterable[str], values: Iterable[str]) -> str:
    """`name="value",…` with what the format needs escaped."""
    return ",".join(
        f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)
    )


def dollars(nano: int) -> str:
    """Nano-USD as an exact decimal number of USD."""
    whole, rest = divmod(abs(nano), _NANO)
    sign = "-" if nano < 0 else ""
    return f"{sign}{whole}.{rest:09d}".rstrip("0").removesuffix(".") if rest else f"{sign}{whole}"


class Exposition:
    """Collects families, then gives the text."""

    def __init__(self, *, openmetrics: bool = False) -> None:
        self._openmetrics = openmetrics
        self._lines: list[str] = []

    def family(
        self, name: str, kind: Kind, about: str, samples: Iterable[tuple[str, str | int | float]]
    ) -> None:
        """A counter or gauge: pairs of label text and value."""
        full = PREFIX + name
        lines = [
            f"{full}{{{labels}}} {value}" if labels else f"{full} {value}"
            for labels, value in samples
        ]
        self._add(name, kind, about, lines)

    def histogram(
        self, name: str, about: str, samples: Iterable[tuple[str, Histogram]], unit: float
    ) -> None:
        """A histogram per label text; `unit` is what one of its integers is worth."""
        lines: list[str] = []
        bounds: tuple[int, ...] = ()
        edges: tuple[str, ...] = ()
        for labels, histogram in samples:
            if histogram.bounds is not bounds:
                bounds = histogram.bounds
                edges = (*(str(float(round(b * unit, 9))) for b in bounds), "+Inf")
            lines += _buckets(PREFIX + name, labels, histogram, edges, unit)
        self._add(name, "histogram", about, lines)

    def text(self) -> bytes:
        """All families so far."""
        end = ["# EOF"] if self._openmetrics else []
        text = "\n".join([*self._lines, *end, ""])
        # A lone surrogate, from bytes that were not UTF-8, has no encoding.
        return text.encode("utf-8", "replace")

    def _add(self, name: str, kind: Kind, about: str, lines: list[str]) -> None:
        if not lines:
            return
        head = PREFIX + name
        if self._openmetrics and kind == "counter":
            head = head.removesuffix("_total")
        self._lines += (f"# HELP {head} {about}", f"# TYPE {head} {kind}")
        self._lines += lines


def _buckets(
    name: str, labels: str, histogram: Histogram, edges: tuple[str, ...], unit: float
) -> list[str]:
    before = f"{labels}," if labels else ""
    around = f"{{{labels}}}" if labels else ""
    start = f'{name}_bucket{{{before}le="'
    counts = list(histogram.cumulative())
    lines = [f'{start}{edge}"}} {count}' for edge, count in zip(edges, counts, strict=True)]
    lines.append(f"{name}_sum{around} {round(histogram.total * unit, 9)}")
    lines.append(f"{name}_count{around} {counts[-1]}")
    return lines


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
