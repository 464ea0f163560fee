"""Values that no record tells: how things are now, set by whoever knows.

Every name is in one table, with the labels it has. A family has at most `CHILDREN` combinations of
their values; what comes beyond is left out and counted. Counters that somebody else keeps (bytes
lost, spans exported) are told here too: their owner sets the count it has.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.telemetry.exposition import Exposition, Kind, label_text

CHILDREN = 256


@dataclass(frozen=True, slots=True)
class _Family:
    about: str
    labels: tuple[str, ...] = ()
    kind: Kind = "gauge"


FAMILIES: Mapping[str, _Family] = {
    "in_flight": _Family("Requests being served now.", ("worker",)),
    "queue": _Family("Requests that wait for a slot.", ("worker",)),
    "quota_store_failing": _Family("1 while limits and budgets cannot be counted.", ("worker",)),
    "loop_lag_seconds": _Family(
        "Latest that the event loop was, within the last second.", ("worker",)
    ),
    "spool_failing": _Family("1 while usage records cannot be written to the disk.", ("worker",)),
    "spool_waiting_records": _Family("Records that wait in memory for the disk.", ("worker",)),
    "spool_lost_records_total": _Family(
        "Records that neither the disk nor memory had room for.", ("worker",), "counter"
    ),
    "spool_lag_records": _Family("Records written and not shipped yet."),
    "spool_lag_bytes": _Family("Bytes written and not shipped yet."),
    "spool_lag_seconds": _Family("Since the oldest record that is not shipped was written."),
    "spool_dead_records": _Family("Records in the dead letters: the store refused them for ever."),
    "target_workers": _Family(
        "Workers that see a target in this state.", ("model", "provider", "target", "state")
    ),
    "provider_keys_resting": _Family(
        "Keys of a provider that are left alone for a while.", ("provider", "worker")
    ),
    "provider_queue": _Family(
        "Requests that wait for room in a provider's limits.", ("provider", "worker")
    ),
    "rule_failures_total": _Family(
        "Times that the expression of a rule failed, and the rule was passed over.",
        ("rule", "worker"),
        "counter",
    ),
    "directory_age_seconds": _Family("Since the store was last asked for changes of keys."),
    "directory_failing": _Family("1 while keys of the store cannot be looked up.", ("worker",)),
    "alerts_total": _Family(
        "Alerts that are new, and tries to send them by how they ended.", ("result",), "counter"
    ),
    "alerts_waiting": _Family("Alerts that are not sent yet."),
    "store_up": _Family("1 while the store can be used.", ("store",)),
    "build_info": _Family("The version that runs.", ("version",)),
    "config_info": _Family("The configuration in force.", ("version",)),
    "otlp_spans_total": _Family("Spans by what became of them.", ("result",), "counter"),
    "otlp_exports_total": _Family(
        "Requests to the collector by how they ended.", ("result",), "counter"
    ),
    "otlp_queue_records": _Family("Records whose spans wait to be exported."),
    "otlp_queue_bytes": _Family("About how much memory they take."),
    "telemetry_failures_total": _Family(
        "Records that telemetry could not tell of.", kind="counter"
    ),
    "metrics_label_sets": _Family("Combinations of label values that are counted apart."),
    "metrics_folded_total": _Family(
        "Observations counted as `other` because there was no room for their labels.",
        kind="counter",
    ),
}


Child = str | tuple[str, ...]
"""The value of a family's one label, or of all its labels in their order."""


class Gauges:
    """The present values, by name and label values."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self.folded = 0

    def set(self, name: str, value: float, child: Child = ()) -> None:
        """Set one value. `child`: the values of the labels, for families that have some.

        Raises KeyError for a name that is not in the table, and for other labels."""
        key = (child,) if isinstance(child, str) else child
        if len(key) != len(FAMILIES[name].labels):
            raise KeyError(f"{name}: labels {FAMILIES[name].labels}")
        children = self._values.setdefault(name, {})
        if key not in children and len(children) >= CHILDREN:
            self.folded += 1
            return
        children[key] = value

    def replace(
        self, name: str, values: Mapping[str, float] | Mapping[tuple[str, ...], float]
    ) -> None:
        """Set all values of a family: those that are not named are gone."""
        self._values.pop(name, None)
        for child, value in values.items():
            self.set(name, value, child)

    def drop(self, name: str) -> None:
        """Tell nothing of a family any more."""
        self._values.pop(name, None)

    def tell(self, page: Exposition) -> None:
        """Write all families that have a value."""
        for name, family in FAMILIES.items():
            page.family(name, family.kind, family.about, self._samples(name, family.labels))

    def _samples(self, name: str, labels: tuple[str, ...]) -> Iterator[tuple[str, float]]:
        for key, value in self._values.get(name, {}).items():
            yield label_text(labels, key), value
