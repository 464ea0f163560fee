"""What is counted of attempts: each of them, and what led from one to the next.

A move is from an attempt that failed to the one that followed: a retry where both asked the same
target, else a failover; a fallback where the other target is of another configured model. What ran
beside a slow attempt is a hedge and no move. The usual record has one attempt, and costs one
look-up.
"""

from collections.abc import Iterator

from proxy.telemetry.bounded import OTHER, Bounded, Key
from proxy.telemetry.exposition import Exposition, label_text
from proxy.telemetry.labels import Labels
from proxy.telemetry.options import Label
from proxy.telemetry.series import Tally
from proxy.wire.record import AttemptRecord, UsageRecord

NOT_TRIED = "not_tried"
"""The reason of a fallback from a model none of whose targets was asked: they were known to be
down, or could not take the request, or no budget would pay for them."""

_LOST = "hedged"
_COMPLETED, _FAILED, _GONE = "completed", "failed", "client_gone"
_WAYS = frozenset(("prefill", "restart"))


class _Table:
    """A counter; `names`: which of its labels are of configured names that a reload may take."""

    def __init__(self, name: str, about: str, labels: dict[str, Label | None], size: int) -> None:
        self.name = name
        self.about = about
        self.labels = tuple(labels)
        self.places = Bounded(Tally, width=len(labels), size=size)
        self._names = [(at, label) for at, label in enumerate(labels.values()) if label is not None]

    def count(self, times: int, *key: str) -> None:
        self.places.at(key, times).count += times

    def keep(self, read: Labels) -> None:
        def wanted(key: Key) -> bool:
            return all(read.allows(label, key[at]) for at, label in self._names)

        self.places.keep(wanted)

    def tell(self, page: Exposition) -> None:
        told = self.places.items()
        samples = ((label_text(self.labels, key), tally.count) for key, tally in told)
        page.family(self.name, "counter", self.about, samples)


class AttemptCounts:
    """The counters."""

    def __init__(self, size: int) -> None:
        """`size`: of each table."""
        provider: dict[str, Label | None] = {"provider": "provider"}
        reason: dict[str, Label | None] = {"reason": None}
        models: dict[str, Label | None] = {"from": "model", "to": "model"}
        self._attempts = _Table(
            "attempts_total", "Tries at a vendor.", provider | {"model": "model"} | reason, size
        )
        self._retries = _Table(
            "retries_total", "Second tries at the same target.", provider | reason, size
        )
        self._failovers = _Table(
            "failovers_total",
            "Times that this provider was given up for another target.",
            provider | reason,
            size,
        )
        self._fallbacks = _Table(
            "fallback_total",
            "Times that one configured model took the place of another.",
            models | reason,
            size,
        )
        self._hedges = _Table(
            "hedges_total",
            "Second tries beside a slow one, and whether they were the quicker.",
            {"won": None},
            size,
        )
        self._rescues = _Table(
            "rescues_total",
            "Tries to carry on with a stream that was cut.",
            {"kind": None, "outcome": None},
            size,
        )
        self._tables = (
            self._attempts,
            self._retries,
            self._failovers,
            self._fallbacks,
            self._hedges,
            self._rescues,
        )

    @property
    def folded(self) -> int:
        """How many found no place of their own."""
        return sum(table.places.folded for table in self._tables)

    def keep(self, read: Labels) -> None:
        """Drop what has names that are not configured any more."""
        for table in self._tables:
            table.keep(read)

    def tell(self, page: Exposition) -> None:
        """Write all of them."""
        for table in self._tables:
            table.tell(page)

    def observe(self, record: UsageRecord, read: Labels, times: int = 1) -> None:
        """Count the attempts of a record that has some. `times`: of so many that had the same."""
        for attempt in record.attempts:
            provider = read.providers.get(attempt.provider, OTHER)
            self._attempts.count(times, provider, read.route(attempt, record), read.reason(attempt))
            if attempt.hedge:
                self._hedges.count(times, "true" if _answered(attempt) else "false")
            if attempt.rescue is not None:
                way = attempt.rescue if attempt.rescue in _WAYS else OTHER
                self._rescues.count(times, way, _outcome(attempt))
        first = record.attempts[0]
        if first.route is not None or len(record.attempts) > 1:
            self._observe_moves(record, read, times)

    def _observe_moves(self, record: UsageRecord, read: Labels, times: int) -> None:
        own = read.model(record)
        begun = min(record.attempts, key=lambda each: each.started)
        if begun.route is not None:
            self._fallbacks.count(times, own, read.route(begun, record), NOT_TRIED)
        for before, after in moves(record.attempts):
            left = read.providers.get(before.provider, OTHER)
            reason = read.reason(before)
            again = _target(before) == _target(after)
            (self._retries if again else self._failovers).count(times, left, reason)
            if before.route != after.route:
                moved = read.route(before, record), read.route(after, record)
                self._fallbacks.count(times, *moved, reason)


def moves(attempts: tuple[AttemptRecord, ...]) -> Iterator[tuple[AttemptRecord, AttemptRecord]]:
    """From each attempt that failed to the one that followed it."""
    if any(each.hedge for each in attempts):  # The one that answered stands behind the other.
        attempts = tuple(sorted(attempts, key=lambda each: each.started))
    before = None
    for attempt in attempts:
        if before is None:
            before = attempt
        elif attempt.hedge:
            before = before if _answered(before) and not _answered(attempt) else attempt
        else:
            yield before, attempt
            before = attempt


def _target(attempt: AttemptRecord) -> tuple[str | None, str, str]:
    return attempt.route, attempt.provider, attempt.model


def _answered(attempt: AttemptRecord) -> bool:
    return attempt.first_byte is not None and attempt.error != _LOST


def _outcome(attempt: AttemptRecord) -> str:
    if attempt.error is None:
        return _COMPLETED
    return _GONE if attempt.error == _GONE else _FAILED
