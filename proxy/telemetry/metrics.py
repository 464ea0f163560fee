"""Prometheus metrics, counted from records: one `observe` each, rendered when asked.

All workers' records pass here, so there is nothing to merge. Bounded by construction: label values
come from closed vocabularies (`labels.py`), tables have a size (`bounded.py`), and what finds no
place is counted as `other` and in `llm_proxy_metrics_folded_total`. Money is summed as integers.
Histograms have fewer labels than counters: they are some sixty series each.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final, TypeVar

from proxy.telemetry.attempt_counts import AttemptCounts
from proxy.telemetry.bounded import Bounded, Key
from proxy.telemetry.exposition import (
    OPENMETRICS,
    PROMETHEUS,
    Exposition,
    dollars,
    label_text,
    wants_openmetrics,
)
from proxy.telemetry.gauges import Gauges
from proxy.telemetry.histogram import Histogram
from proxy.telemetry.labels import Labels
from proxy.telemetry.options import Known, Label, MetricsOptions
from proxy.telemetry.series import TOKEN_TYPES, Counts, Tally, Timings
from proxy.wire.lots import Lot
from proxy.wire.record import UsageRecord

_TIMING_LABELS: Final = frozenset(("model", "provider", "operation"))
_REASONS: Final = 64
_MICRO: Final = 1e-6

T = TypeVar("T")
Told = Iterator[tuple[str, T]]


class Metrics:
    """The aggregates, and the page that tells them."""

    def __init__(
        self, known: Known, options: MetricsOptions | None = None, *, version: str = "0"
    ) -> None:
        self._options = options or MetricsOptions()
        self.read = Labels(known)
        self._before: dict[str, Callable[[], None]] = {}
        self.gauges = Gauges()
        self.gauges.set("build_info", 1, version)
        self._begin()

    def reload(self, known: Known, options: MetricsOptions | None = None) -> None:
        """Take the names of a new configuration; what was counted for old names is not told any
        more, so that names that come and go cannot fill the tables. Other labels or sizes begin
        anew, which Prometheus takes for a restart."""
        self.read = Labels(known)
        if options is not None and options != self._options:
            self._options = options
            self._begin()
            return
        self._set_readers()
        self._counts.keep(partial(self._wanted, self._labels))
        self._timings.keep(partial(self._wanted, self._timing_labels))
        self._attempts.keep(self.read)

    def _begin(self) -> None:
        options = self._options
        self._labels = options.labels
        self._timing_labels = tuple(x for x in options.labels if x in _TIMING_LABELS)
        self._counts = Bounded(Counts, width=len(self._labels), size=options.label_sets)
        self._timings = Bounded(Timings, width=len(self._timing_labels), size=options.timing_sets)
        self._attempts = AttemptCounts(options.label_sets)
        self._refusals = Bounded(Tally, width=1, size=_REASONS)
        self._set_readers()

    def _set_readers(self) -> None:
        self._readers = self.read.readers(self._labels)
        self._timing_places = [self._labels.index(label) for label in self._timing_labels]

    def observe(self, record: UsageRecord) -> None:
        """Count one record."""
        key = tuple([read(record) for read in self._readers])
        self._counts.at(key).observe(record)
        self._timings.at(tuple([key[place] for place in self._timing_places])).observe(record)
        if record.attempts:
            self._attempts.observe(record, self.read)
        if record.outcome == "refused":
            self._refusals.at((record.code or record.error or "refused",)).count += 1

    def observe_lot(self, lot: Lot) -> None:
        """Count all of them."""
        first, count = lot.first, len(lot)
        key = tuple([read(first) for read in self._readers])
        self._counts.at(key, count).observe_lot(lot)
        places = tuple([key[place] for place in self._timing_places])
        self._timings.at(places, count).observe_lot(lot)
        self._attempts.observe(first, self.read, count)

    def before_render(self, name: str, refresh: Callable[[], None]) -> None:
        """Have `refresh` called before each page: it sets the gauges it knows of. Another one by
        the same name takes its place."""
        self._before[name] = refresh

    def render(self, accept: str = "") -> bytes:
        """The page. `accept` is the request's Accept header."""
        for refresh in self._before.values():
            refresh()
        page = Exposition(openmetrics=wants_openmetrics(accept))
        self._tell_counts(page)
        self._tell_timings(page)
        self._attempts.tell(page)
        self._tell_refusals(page)
        self._tell_itself()
        self.gauges.tell(page)
        return page.text()

    @staticmethod
    def content_type(accept: str = "") -> str:
        """The content type of that page."""
        return OPENMETRICS if wants_openmetrics(accept) else PROMETHEUS

    def _wanted(self, labels: Iterable[Label], key: Key) -> bool:
        return all(map(self.read.allows, labels, key))

    def _tell_counts(self, page: Exposition) -> None:
        told = [(label_text(self._labels, key), each) for key, each in self._counts.items()]
        page.family(
            "requests_total", "counter", "Requests.", ((text, each.requests) for text, each in told)
        )
        page.family(
            "tokens_total",
            "counter",
            "Tokens; cached_read and cache_write are part of input, reasoning of output.",
            _tokens(told),
        )
        page.family(
            "images_total",
            "counter",
            "Images made.",
            ((text, each.images) for text, each in told if each.images),
        )
        page.family(
            "cost_usd_total",
            "counter",
            "US dollars, exact to the nano-dollar.",
            ((text, dollars(each.nano_usd)) for text, each in told),
        )
        page.family(
            "unpriced_requests_total",
            "counter",
            "Requests with usage that has no price.",
            ((text, each.unpriced) for text, each in told),
        )

    def _tell_timings(self, page: Exposition) -> None:
        told = [(label_text(self._timing_labels, key), each) for key, each in self._timings.items()]
        page.histogram(
            "request_duration_seconds",
            "From the head of the request to the end of the answer.",
            ((text, each.duration) for text, each in told),
            _MICRO,
        )
        page.histogram(
            "time_to_first_token_seconds",
            "From the head of the request to the first byte of a streamed answer.",
            _used((text, each.first_token) for text, each in told),
            _MICRO,
        )
        page.histogram(
            "time_per_output_token_seconds",
            "Of streamed answers, after the first token.",
            _used((text, each.per_token) for text, each in told),
            _MICRO,
        )
        page.histogram(
            "overhead_seconds",
            "Spent in the proxy itself until the first byte left.",
            _used((text, each.overhead) for text, each in told),
            _MICRO,
        )

    def _tell_refusals(self, page: Exposition) -> None:
        told = self._refusals.items()
        samples = ((label_text(("reason",), key), tally.count) for key, tally in told)
        page.family("refusals_total", "counter", "Requests refused, by reason.", samples)

    def _tell_itself(self) -> None:
        tables = (self._counts, self._timings, self._attempts, self._refusals)
        folded = sum(table.folded for table in tables)
        self.gauges.set("metrics_label_sets", len(self._counts) + len(self._timings))
        self.gauges.set("metrics_folded_total", folded + self.gauges.folded)


def _tokens(told: Iterable[tuple[str, Counts]]) -> Told[int]:
    for text, each in told:
        for kind in TOKEN_TYPES:
            if count := getattr(each, kind):
                yield (f'{text},type="{kind}"' if text else f'type="{kind}"'), count


def _used(told: Told[Histogram]) -> Told[Histogram]:
    return ((text, each) for text, each in told if any(each.counts))
