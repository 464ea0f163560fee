"""The hourly roll-up of a batch of records: see `migrations/0001_usage.sql` for what counts where.

Sums are exact: over rows with `tag_first`, every sum equals the sum over the rows of `usage`. When
a request made several attempts, tokens and cost are split among their targets as the attempts say,
and what they leave over stays where the answer came from.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from proxy.base.jsonio import dumps
from proxy.stores.postgres.usage_rows import when
from proxy.wire.lots import Lot
from proxy.wire.record import AttemptRecord, Cost, Outcome, Usage, UsageRecord

_HOUR = 3_600_000_000

_NAMES = ("key", "team", "user_id", "project", "tag", "model", "provider", "operation")
_OUTCOMES = {
    "completed": "completed",
    "failed": "failed",
    "refused": "refused",
    "upstream_cut": "cut",
    "client_gone": "gone",
    "cached": "cached",
}
_REQUEST = (
    "requests",
    *_OUTCOMES.values(),
    "unpriced",
    "streams",
    "duration_us",
    "first_token_us",
    "first_tokens",
    "overhead_us",
    "overheads",
    "bytes_in",
    "bytes_out",
)
_TOKENS = (
    "input_tokens",
    "output_tokens",
    "cached_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "audio_in_tokens",
    "audio_out_tokens",
    "images",
)
_CLASSES = (
    "cost_input",
    "cost_cached_read",
    "cost_cache_write",
    "cost_output",
    "cost_reasoning",
    "cost_audio_in",
    "cost_audio_out",
    "cost_images",
    "cost_request",
)
SUMS = (*_REQUEST, "attempts", "cost", *_TOKENS, *_CLASSES)
_AT = {name: place for place, name in enumerate(SUMS)}
_OUTCOME_AT = {outcome: _AT[name] for outcome, name in _OUTCOMES.items()}
_ATTEMPTS_AT, _COST_AT = _AT["attempts"], _AT["cost"]
_TOKENS_AT, _CLASSES_AT = _AT["input_tokens"], _AT["cost_input"]
_USUAL_AT = tuple(place for place in range(_AT["unpriced"], len(SUMS)) if place != _ATTEMPTS_AT)
_NO_USAGE = Usage()
_NO_CLASSES = (0,) * len(_CLASSES)

COLUMNS: tuple[tuple[str, str], ...] = (
    ("hour", "timestamptz"),
    ("slot", "bytea"),
    ("tag_first", "boolean"),
    *((name, "text") for name in _NAMES),
    *((name, "bigint") for name in SUMS),
)

Slot = tuple[int, bool, str, str, str, str, str, str, str, str]
"""Hour, tag_first and the names in the order of _NAMES."""


class Spending:
    """Tokens and cost of something, in the order of the columns."""

    __slots__ = ("classes", "cost", "tokens")

    def __init__(self, usage: Usage | None, cost: Cost | None, total: int) -> None:
        self.tokens = _tokens(usage)
        self.cost = total
        self.classes = _classes(cost)

    def less(self, other: "Spending") -> None:
        """Take away what was counted elsewhere."""
        self.cost -= other.cost
        self.tokens = [a - b for a, b in zip(self.tokens, other.tokens, strict=True)]


def _tokens(usage: Usage | None) -> list[int]:
    if usage is None:
        return [0] * len(_TOKENS)
    return [
        usage.input,
        usage.output,
        usage.cached_read,
        usage.cache_write,
        usage.reasoning,
        usage.audio_in,
        usage.audio_out,
        usage.images,
    ]


def _classes(cost: Cost | None) -> list[int]:
    if cost is None:
        return [0] * len(_CLASSES)
    return [
        cost.input,
        cost.cached_read,
        cost.cache_write,
        cost.output,
        cost.reasoning,
        cost.audio_in,
        cost.audio_out,
        cost.images,
        cost.request,
    ]


def columns_of(records: Iterable[UsageRecord], lots: Iterable[Lot] = ()) -> list[list[Any]]:
    """The roll-up as one list per column of COLUMNS, in the order of the primary key, so that two
    writers lock rows in the same order."""
    slots: dict[Slot, list[int]] = {}
    usual: dict[tuple[Slot, Outcome], list[tuple[int, ...]]] = {}
    for record in records:
        # Nearly all are like that, of few kinds: their numbers are added up column by column.
        if len(record.attempts) == 1 and not record.tags:
            usual.setdefault(_usual(record), []).append(_numbers(record))
        else:
            _add(slots, record)
    for (slot, outcome), numbers in usual.items():
        _add_usual(slots.setdefault(slot, [0] * len(SUMS)), outcome, numbers)
    for lot in lots:
        _add_lot(slots, lot)
    rows = sorted(
        ((when(slot[0]), _digest(slot), *slot[1:], *sums) for slot, sums in slots.items()),
        key=lambda row: row[:2],
    )
    return [list(values) for values in zip(*rows, strict=True)]


def _usual(record: UsageRecord) -> tuple[Slot, Outcome]:
    """Where a record of one attempt and without tags counts, and as what."""
    return (
        record.at - record.at % _HOUR,
        True,
        record.key,
        record.team or "",
        record.user or "",
        record.project or "",
        "",
        record.served_model or record.route or "",
        record.served_provider or "",
        record.operation,
    ), record.outcome


def _numbers(record: UsageRecord) -> tuple[int, ...]:
    """What such a record adds, in the order of SUMS: from `unpriced` on, `attempts` left out."""
    first, overhead, total = record.first_token, record.overhead, record.cost
    usage = record.usage or _NO_USAGE
    cost = record.attempts[0].cost if total is not None else None
    numbers = (
        record.unpriced,
        record.stream,
        record.done,
        first or 0,
        first is not None,
        overhead or 0,
        overhead is not None,
        record.bytes_in,
        record.bytes_out,
        total or 0,
        usage.input,
        usage.output,
        usage.cached_read,
        usage.cache_write,
        usage.reasoning,
        usage.audio_in,
        usage.audio_out,
        usage.images,
    )
    return (*numbers, *_NO_CLASSES) if cost is None else (*numbers, *_classes(cost))


def _add_usual(sums: list[int], outcome: Outcome, numbers: Sequence[tuple[int, ...]]) -> None:
    count = len(numbers)
    sums[0] += count
    sums[_OUTCOME_AT[outcome]] += count
    sums[_ATTEMPTS_AT] += count
    for place, column in zip(_USUAL_AT, zip(*numbers, strict=True), strict=True):
        sums[place] += sum(column)


def _add_lot(slots: dict[Slot, list[int]], lot: Lot) -> None:
    slot, outcome = _usual(lot.first)
    hours = {each.at - each.at % _HOUR for each in lot.numbers}
    for hour in hours:
        numbers = lot.numbers
        if len(hours) > 1:
            numbers = [each for each in numbers if each.at - each.at % _HOUR == hour]
        sums = slots.setdefault((hour, *slot[1:]), [0] * len(SUMS))
        count = len(numbers)
        cost, of_input = sum([x.cost for x in numbers]), sum([x.cost_input for x in numbers])
        for name, amount in (
            ("requests", count),
            (_OUTCOMES[outcome], count),
            ("streams", count if lot.standing.stream else 0),
            ("duration_us", sum([x.done for x in numbers])),
            ("first_token_us", sum([x.first_token for x in numbers])),
            ("first_tokens", count),
            ("overhead_us", sum([x.overhead for x in numbers])),
            ("overheads", count),
            ("bytes_in", sum([x.bytes_in for x in numbers])),
            ("bytes_out", sum([x.bytes_out for x in numbers])),
            ("attempts", count),
            ("cost", cost),
            ("input_tokens", sum([x.input for x in numbers])),
            ("output_tokens", sum([x.output for x in numbers])),
            ("cost_input", of_input),
            ("cost_output", cost - of_input),
        ):
            sums[_AT[name]] += amount


def _add(slots: dict[Slot, list[int]], record: UsageRecord) -> None:
    model, provider = record.served_model or record.route or "", record.served_provider or ""
    rest, elsewhere = _split(record)
    for first, tag in _tags(record.tags):
        sums = _sums(slots, record, first, (tag, model, provider))
        _count_request(sums, record)
        _count_spending(sums, rest)
        if not elsewhere:
            sums[_ATTEMPTS_AT] += len(record.attempts)
        for attempt, spent in elsewhere:
            sums = _sums(slots, record, first, (tag, attempt.model, attempt.provider))
            sums[_ATTEMPTS_AT] += 1
            _count_spending(sums, spent)


def _split(record: UsageRecord) -> tuple[Spending, Sequence[tuple[AttemptRecord, Spending]]]:
    """What counts where the answer came from, and what counts at each attempt's target."""
    total = record.cost or 0
    attempts = record.attempts
    if len(attempts) == 1:
        cost = attempts[0].cost if record.cost is not None else None
        return Spending(record.usage, cost, total), ()
    rest = Spending(record.usage, None, total)
    elsewhere = []
    for attempt in attempts:
        # Without a total no part of it counts: the sum must be that of the rows.
        cost = attempt.cost if record.cost is not None else None
        spent = Spending(attempt.usage, cost, cost.total if cost is not None else 0)
        rest.less(spent)
        elsewhere.append((attempt, spent))
    return rest, elsewhere


def _tags(tags: Sequence[str]) -> Iterator[tuple[bool, str]]:
    first = True
    for tag in dict.fromkeys(tags) or ("",):
        yield first, tag
        first = False


def _sums(
    slots: dict[Slot, list[int]], record: UsageRecord, first: bool, names: tuple[str, str, str]
) -> list[int]:
    slot = (
        record.at - record.at % _HOUR,
        first,
        record.key,
        record.team or "",
        record.user or "",
        record.project or "",
        *names,
        record.operation,
    )
    sums = slots.get(slot)
    if sums is None:
        sums = slots[slot] = [0] * len(SUMS)
    return sums


def _count_request(sums: list[int], record: UsageRecord) -> None:
    sums[0] += 1
    sums[_OUTCOME_AT[record.outcome]] += 1
    sums[7] += record.unpriced
    sums[8] += record.stream
    sums[9] += record.done
    if record.first_token is not None:
        sums[10] += record.first_token
        sums[11] += 1
    if record.overhead is not None:
        sums[12] += record.overhead
        sums[13] += 1
    sums[14] += record.bytes_in
    sums[15] += record.bytes_out


def _count_spending(sums: list[int], spent: Spending) -> None:
    sums[_COST_AT] += spent.cost
    for place, amount in enumerate(spent.tokens, _TOKENS_AT):
        sums[place] += amount
    for place, amount in enumerate(spent.classes, _CLASSES_AT):
        sums[place] += amount


def _digest(slot: Slot) -> bytes:
    # JSON keeps the names apart whatever they hold.
    return hashlib.blake2b(dumps(slot[1:]), digest_size=16).digest()
