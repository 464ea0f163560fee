"""From a record to label values that are bounded, whatever callers and vendors send.

Each label has a closed vocabulary: configured names, our operations and outcomes, registered status
codes, kinds of our errors. What is not in it is `other`; what is not there at all is `none`.
"""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import get_args

from proxy.base import errors
from proxy.core.accounting import WORKER_DIED
from proxy.core.verdicts import REASONS
from proxy.telemetry import failures
from proxy.telemetry.bounded import NONE, OTHER
from proxy.telemetry.options import Known, Label
from proxy.wire.operations import MODELS, PASSTHROUGH, WITH_MODEL
from proxy.wire.record import AttemptRecord, Outcome, UsageRecord

Reader = Callable[[UsageRecord], str]
Vocabulary = Mapping[str | None, str]

CLIENT_GONE = 499

OUTCOMES = frozenset(get_args(Outcome))
OPERATIONS = frozenset(each.name for each in (*WITH_MODEL, MODELS, PASSTHROUGH))


def kinds_of(family: type[errors.ProxyError]) -> frozenset[str]:
    """The kinds of an error and all that are special cases of it."""
    return frozenset((family.kind,)).union(*(kinds_of(each) for each in family.__subclasses__()))


ERROR_KINDS = kinds_of(errors.ProxyError) | OUTCOMES | {WORKER_DIED}

_STATUSES: Mapping[int, str] = {
    **{status.value: str(status.value) for status in HTTPStatus},
    **{status: str(status) for status in (CLIENT_GONE, 529)},
}


def vocabulary(words: Iterable[str]) -> Vocabulary:
    """What each word that may come is told as; ask it with `.get(word, OTHER)`."""
    return {**{word: word for word in words}, None: NONE, "": NONE}


class Labels:
    """Reads label values from records, by the names that are configured now."""

    def __init__(self, known: Known) -> None:
        self.models = vocabulary(known.models)
        self.upstream_models = vocabulary(known.upstream_models)
        self.providers = vocabulary(known.providers)
        self.teams = vocabulary(known.teams)
        self.keys = vocabulary(known.keys)
        self.operations = vocabulary(OPERATIONS)
        self.outcomes = vocabulary(OUTCOMES)
        self.errors = vocabulary(ERROR_KINDS)
        self.reasons = vocabulary(ERROR_KINDS | REASONS)
        self._readers: Mapping[Label, Reader] = {
            "model": self.model,
            "provider": self.provider,
            "status": lambda record: status_label(record.status),
            "team": lambda record: self.teams.get(record.team, OTHER),
            "key": lambda record: self.keys.get(record.key, OTHER),
            "operation": lambda record: self.operations.get(record.operation, OTHER),
            "outcome": lambda record: self.outcomes.get(record.outcome, OTHER),
        }

    def readers(self, labels: Iterable[Label]) -> tuple[Reader, ...]:
        """What reads the values of these labels, in this order."""
        return tuple(self._readers[label] for label in labels)

    def allows(self, label: Label, value: str) -> bool:
        """Whether a value can still come, after names were taken out of the configuration."""
        names: Mapping[Label, Vocabulary] = {
            "model": self.models,
            "provider": self.providers,
            "team": self.teams,
            "key": self.keys,
        }
        return label not in names or value in {OTHER, NONE} or value in names[label]

    def model(self, record: UsageRecord) -> str:
        """The configured name that took it, else whether one was asked for at all."""
        return self.models.get(record.route or record.model, OTHER)

    def provider(self, record: UsageRecord) -> str:
        """Who answered, or was asked last."""
        name = record.served_provider
        if name is None and record.attempts:
            name = record.attempts[-1].provider
        return self.providers.get(name, OTHER)

    def upstream_model(self, attempt: AttemptRecord, record: UsageRecord) -> str:
        """As the vendor calls it where the configuration does too; else the configured name, for
        behind a pattern the vendor's name is the caller's word."""
        name = self.upstream_models.get(attempt.model, OTHER)
        return self.model(record) if name == OTHER else name

    def route(self, attempt: AttemptRecord, record: UsageRecord) -> str:
        """The configured model that the attempt's target belongs to."""
        return (
            self.model(record) if attempt.route is None else self.models.get(attempt.route, OTHER)
        )

    def reason(self, attempt: AttemptRecord) -> str:
        """Why it failed; `none`: it did not."""
        return self.reasons.get(failures.reason_of(attempt), OTHER)


def status_label(status: int) -> str:
    """A registered status as it is; of any other its class."""
    label = _STATUSES.get(status)
    if label is not None:
        return label
    return f"{status // 100}xx" if 100 <= status < 600 else OTHER
