"""Where alerts and the store meet: what was spent, what was told, what is still to send.

An alert is one percent of one budget in one of its windows. The store keeps each once, however many
hosts find it at the same time, and with it one delivery for each receiver. A delivery belongs to
whoever claimed it, for as long as the lease lasts; so it is sent at least once, and by one host at
a time. Every method raises StoreAway (core.accounting).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from proxy.base.periods import Period, Span
from proxy.core.identity import Document
from proxy.core.quota import Scope, ScopeKind


@dataclass(frozen=True, slots=True)
class WatchedBudget:
    """A budget, and the percents of its amount at which an alert is sent.

    `each`: not one scope is meant but every one of the kind that has no entry of its own and whose
    name ends so ("" is any name); each has the whole amount. `of_key`: key and pattern of models,
    for kind `key_model`.
    """

    scope: Scope
    rule: str  # As `Rule.name`.
    amount: int  # Nano-USD.
    period: Period
    zone: str
    hard: bool
    percents: tuple[int, ...]
    each: str | None = None
    of_key: tuple[str, str] | None = None


class Question(NamedTuple):
    """What was spent in a window. `names`: by these scopes of the kind; None: by any. Whoever spent
    less than `at_least` is left out."""

    kind: ScopeKind
    window: Span
    at_least: int
    names: tuple[str, ...] | None


class StoredBudgets(NamedTuple):
    """The documents of the store that have budgets with alerts, as of the change `seq`."""

    seq: int
    keys: tuple[Document, ...]
    scopes: tuple[tuple[Scope, Document], ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """A threshold that was passed, and what is said of it."""

    id: str
    scope: Scope
    rule: str
    window: Span
    percent: int
    body: bytes


class Delivery(NamedTuple):
    """An alert for one receiver, claimed. `attempts`: this one included; `age`: in seconds."""

    id: str
    body: bytes
    attempts: int
    age: float


class Claim(NamedTuple):
    """What is to be sent now. `waiting`: all that is not sent yet, these included; `pause`: seconds
    until the next of the others is due, None where there is none."""

    deliveries: tuple[Delivery, ...]
    waiting: int
    pause: float | None


class AlertStore(Protocol):
    """Books to look at, and an outbox."""

    async def budgets(self, known: int | None) -> StoredBudgets | None:
        """Those of the store; None where nothing changed since the change `known`."""

    async def written(self, scopes: Collection[Scope]) -> frozenset[Scope]:
        """Those of the scopes that have an entry of their own in the store."""

    async def spent(self, questions: Sequence[Question]) -> list[Mapping[str, int]]:
        """Nano-USD by the name of the scope, for each question."""

    async def spent_by_model(self, key: str, window: Span) -> Mapping[str, int]:
        """Nano-USD of a key by the model that was asked for."""

    async def keep(self, alerts: Sequence[Alert], receivers: Sequence[str]) -> int:
        """Keep those that are not kept yet, to be sent to the receivers. Returns how many."""

    async def forget(self, receivers: Sequence[str]) -> None:
        """Drop what is over long since, and give up what waits for receivers that are no more."""

    async def claim(self, receiver: str, most: int, lease: float) -> Claim:
        """Take deliveries that are due; nobody else is given them for `lease` seconds."""

    async def sent(self, id: str, receiver: str) -> None:
        """The receiver has it."""

    async def failed(self, id: str, receiver: str, error: str, again: float | None) -> None:
        """The receiver does not have it. Try again after so many seconds; None: never."""
