"""Whose money a record is: what it cost, per scope, at the moment it was held.

The one place that says so for whoever adds records up: the roll-up in the store, and the reading of
what is still in the spool. It has to agree with the rules that `limits/` charges: each attempt for
itself, in the window in which it was sent, and at the model that its target belongs to (that of a
fallback, not the one asked for); what has no price counts as nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from proxy.base.periods import Span
from proxy.core.quota import Scope
from proxy.wire.lots import Lot
from proxy.wire.record import AttemptRecord, UsageRecord

LONGEST = 300
"""Characters of a name by which scopes are told apart: an index takes no longer ones."""


class Charge(NamedTuple):
    """What a record adds to a scope."""

    scope: Scope
    at: int  # Microseconds since the epoch.
    cost: int  # Nano-USD, more than 0.


class Question(NamedTuple):
    """What was spent by a scope in each of these spans? The name of a `key_model` may have a `*`,
    for any models. `since`, in microseconds: of what the asking process records from then on it
    knows itself; None: it knows nothing of what it recorded."""

    scope: Scope
    spans: tuple[Span, ...]
    since: int | None = None

    @property
    def is_pattern(self) -> bool:
        """Whether it is about any models of a key. The `*` is the last in the name."""
        return self.scope.kind == "key_model" and "*" in self.scope.name


@dataclass(slots=True)
class Sums:
    """The answer. `first`: microseconds, when it spent anything for the first time; None: never."""

    spans: list[int]
    first: int | None = None


class Shipped(NamedTuple):
    """What the store knows at one moment: the answers in the order of the questions, and how far
    each segment of a spool was shipped, by name."""

    sums: Sequence[Sums]
    positions: Mapping[str, int]


class ShippedSums(Protocol):
    """The store's part."""

    async def shipped(self, questions: Sequence[Question], spool: str | None) -> Shipped:
        """Both of one moment. Raises StoreAway."""


class _Names(NamedTuple):
    """Of an attempt; many have all of them in common."""

    key: str
    model: str | None
    route: str | None
    user: str | None
    team: str | None
    project: str | None
    agent: str | None
    tags: tuple[str, ...]


_Group = tuple[_Names, str, int]
"""Names, provider and step in which it was sent."""


def charges(record: UsageRecord) -> Iterator[Charge]:
    """What a record adds to each of its scopes."""
    for attempt in record.attempts:
        if attempt.cost is None or (cost := attempt.cost.total) <= 0:
            continue
        at = record.at + attempt.started
        for scope in (*_scopes(_of_many(record, attempt)), *_of_few(record)):
            yield Charge(known_as(scope), at, cost)
        yield Charge(known_as(Scope("provider", attempt.provider)), at, cost)


def added_up(
    records: Iterable[UsageRecord], step: int, lots: Iterable[Lot] = ()
) -> dict[tuple[Scope, int], int]:
    """The charges of many records, per scope and step of so many microseconds: quicker than one by
    one, as many records have all names in common but customer and session, and lots even those."""
    groups: dict[_Group, int] = {}
    sums: dict[tuple[Scope, int], int] = {}
    for record in records:
        for attempt in record.attempts:
            if attempt.cost is None or (cost := attempt.cost.total) <= 0:
                continue
            slot = record.at + attempt.started
            slot -= slot % step
            group = (_of_many(record, attempt), attempt.provider, slot)
            groups[group] = groups.get(group, 0) + cost
            if record.customer is None and record.session is None:
                continue
            for scope in _of_few(record):
                place = (known_as(scope), slot)
                sums[place] = sums.get(place, 0) + cost
    _add_lots(groups, lots, step)
    for (names, provider, slot), cost in groups.items():
        for scope in (*_scopes(names), Scope("provider", provider)):
            place = (known_as(scope), slot)
            sums[place] = sums.get(place, 0) + cost
    return sums


def _add_lots(groups: dict[_Group, int], lots: Iterable[Lot], step: int) -> None:
    for lot in lots:
        (attempt,) = lot.first.attempts
        names, provider = _of_many(lot.first, attempt), attempt.provider
        slots: dict[int, int] = {}
        for each in lot.numbers:
            if each.cost > 0:
                slot = each.at + each.started
                slot -= slot % step
                slots[slot] = slots.get(slot, 0) + each.cost
        for slot, cost in slots.items():
            group = (names, provider, slot)
            groups[group] = groups.get(group, 0) + cost


def known_as(scope: Scope) -> Scope:
    """The scope by the name under which its costs are added up: bounded, and without NUL, which
    the store cannot hold. Names that become one are counted as one: rather too much than too
    little."""
    name = scope.name
    if len(name) <= LONGEST and "\0" not in name:
        return scope
    return Scope(scope.kind, name[:LONGEST].replace("\0", "\ufffd"))


def _of_many(record: UsageRecord, attempt: AttemptRecord) -> _Names:
    return _Names(
        record.key,
        attempt.route or record.model,
        attempt.route or record.route,
        record.user,
        record.team,
        record.project,
        record.agent,
        record.tags,
    )


def _of_few(record: UsageRecord) -> Iterator[Scope]:
    if record.customer is not None:
        yield Scope("customer", record.customer)
    if record.session is not None:
        yield Scope("session", record.session)


def _scopes(names: _Names) -> Iterator[Scope]:
    yield Scope("global", "")
    yield Scope("key", names.key)
    # Names of keys have no `/`. The bearer of a token may have, and has no limits for a model.
    if names.model is not None and "/" not in names.key:
        yield Scope("key_model", f"{names.key}/{names.model}")
    if names.route is not None:
        yield Scope("model", names.route)
    if names.user is not None:
        yield Scope("user", names.user)
    if names.team is not None:
        yield Scope("team", names.team)
    if names.project is not None:
        yield Scope("project", names.project)
    if names.agent is not None:
        yield Scope("agent", names.agent)
    for tag in dict.fromkeys(names.tags):
        yield Scope("tag", tag)
