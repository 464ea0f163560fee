"""What the tests of alerts share: budgets, a store in memory, and how a receiver verifies."""

import base64
import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from proxy.base.periods import Span
from proxy.core.accounting import StoreAway
from proxy.core.alerts import (
    Alert,
    Claim,
    Delivery,
    Question,
    StoredBudgets,
    WatchedBudget,
)
from proxy.core.quota import Scope
from tests.fakes.http_in import Request

USD = 10**9
NOON = 1_763_640_000.0
"""2025-11-20 12:00 UTC, a Thursday."""
MIDNIGHT = 1_763_596_800
DAY = 86_400
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))

TEAM = WatchedBudget(
    Scope("team", "search"), "budget per day", 10 * USD, "day", "UTC", hard=True, percents=(50, 80)
)
EACH = replace(TEAM, scope=Scope("team", "*"), each="")


@dataclass
class BooksInMemory:
    """An AlertStore that does as it is told and remembers what it was asked."""

    amounts: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)
    """By kind and start of the window, then by name."""
    by_model: dict[str, int] = field(default_factory=dict)
    stored: StoredBudgets = field(default_factory=lambda: StoredBudgets(0, (), ()))
    entries: set[Scope] = field(default_factory=set)
    kept: list[Alert] = field(default_factory=list)
    receivers: list[Sequence[str]] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    due: list[Delivery] = field(default_factory=list)
    ended: list[tuple[str, str, float | None]] = field(default_factory=list)
    away: bool = False
    looks: int = 0

    def spend(self, scope: Scope, amount: int, start: int = MIDNIGHT) -> None:
        self.amounts.setdefault((scope.kind, start), {})[scope.name] = amount

    async def budgets(self, known: int | None) -> StoredBudgets | None:
        self.looks += 1
        self._here()
        return None if known == self.stored.seq else self.stored

    async def written(self, scopes: Collection[Scope]) -> frozenset[Scope]:
        return frozenset(self.entries & set(scopes))

    async def spent(self, questions: Sequence[Question]) -> list[Mapping[str, int]]:
        self._here()
        self.asked += questions
        return [self._answer(each) for each in questions]

    async def spent_by_model(self, key: str, window: Span) -> Mapping[str, int]:
        return self.by_model if window.start == MIDNIGHT else {}

    async def keep(self, alerts: Sequence[Alert], receivers: Sequence[str]) -> int:
        self._here()
        self.kept += alerts
        self.receivers.append(receivers)
        return len(alerts)

    async def forget(self, receivers: Sequence[str]) -> None:
        self._here()

    async def claim(self, receiver: str, most: int, lease: float) -> Claim:
        self._here()
        taken, self.due = self.due[:most], self.due[most:]
        return Claim(tuple(taken), len(taken) + len(self.due), None)

    async def sent(self, id: str, receiver: str) -> None:
        self._here()
        self.ended.append((id, "sent", None))

    async def failed(self, id: str, receiver: str, error: str, again: float | None) -> None:
        self.ended.append((id, error, again))

    def _answer(self, question: Question) -> dict[str, int]:
        spent = self.amounts.get((question.kind, question.window.start), {})
        return {
            name: amount
            for name, amount in spent.items()
            if amount >= question.at_least and (question.names is None or name in question.names)
        }

    def _here(self) -> None:
        if self.away:
            raise StoreAway("it is away")


def told(alerts: Sequence[Alert]) -> list[tuple[str, int]]:
    return [(each.scope.name, each.percent) for each in alerts]


def verified(request: Request, key: bytes = KEY) -> dict[str, object]:
    """The body, if the signature is that of Standard Webhooks."""
    id_, at = request.header("webhook-id"), request.header("webhook-timestamp")
    signed = f"{id_}.{at}.".encode() + request.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.header("webhook-signature") == f"v1,{expected}"
    body: dict[str, object] = request.json()
    return body
