"""What the store says against what clients saw.

Each answer that is owed a record has exactly one row, and that says its key, status, tokens and
cost; the roll-ups say the same as the rows, key by key. `judge` is pure; `read_books` fetches.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import asyncpg

from bench.faults_answers import Answer, Book

_ROWS = (
    "SELECT id, key, status, outcome, cost, input_tokens, output_tokens, cached_read_tokens,"
    " reasoning_tokens FROM usage"
)
_SUM_OF_ROWS = (
    "SELECT key, count(*), coalesce(sum(cost), 0), sum(input_tokens), sum(output_tokens)"
    " FROM usage GROUP BY key"
)
_SUM_OF_HOURS = (
    "SELECT key, sum(requests), sum(cost), sum(input_tokens), sum(output_tokens)"
    " FROM usage_hourly WHERE tag_first GROUP BY key"
)
_PIECE = 5000
_EXAMPLES = 5


class Row(NamedTuple):
    """One usage record in the store."""

    id: str
    key: str
    status: int
    outcome: str
    cost: int | None
    input: int
    output: int
    cached: int
    reasoning: int


class Sums(NamedTuple):
    """Of one key."""

    requests: int
    cost: int
    input: int
    output: int


@dataclass(slots=True)
class Verdict:
    """The outcome of a run. Costs in nano-USD. `rows`: of all requests; `other_rows`: of those by
    whom no record is owed; `unknown_cost`: of answers whose cost the client cannot know;
    `misreported`: rows with another status than the client was told, which is no matter of money
    and so no failure of the run."""

    answered: int = 0
    recorded: int = 0
    missing: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    differing: dict[str, str] = field(default_factory=dict)
    keys_differing: dict[str, str] = field(default_factory=dict)
    misreported: dict[str, str] = field(default_factory=dict)
    unpriced: int = 0
    rows: int = 0
    other_rows: int = 0
    cost_by_clients: int = 0
    cost_in_rows: int = 0
    unknown_cost: int = 0
    cost_of_all_rows: int = 0
    cost_in_hours: int = 0

    @property
    def good(self) -> bool:
        return not (self.missing or self.duplicated or self.differing or self.keys_differing) and (
            self.cost_by_clients == self.cost_in_rows
            and self.cost_of_all_rows == self.cost_in_hours
        )

    def examples(self) -> list[str]:
        """Some of what is wrong, for people."""
        shown = [f"{one}: missing" for one in self.missing[:_EXAMPLES]]
        shown += [f"{one}: more than one row" for one in self.duplicated[:_EXAMPLES]]
        shown += [f"{one}: {why}" for one, why in list(self.differing.items())[:_EXAMPLES]]
        shown += [f"{one}: {why}" for one, why in list(self.keys_differing.items())[:_EXAMPLES]]
        shown += [f"{one}: {why}" for one, why in list(self.misreported.items())[:1]]
        return shown


class Books(NamedTuple):
    """What the store says."""

    rows: list[Row]
    of_rows: dict[str, Sums]
    of_hours: dict[str, Sums]


async def count_rows(address: str) -> int:
    """How many rows there are now. Raises OSError, asyncpg's errors."""
    connection = await asyncpg.connect(address, timeout=10)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM usage"))
    finally:
        await connection.close()


async def read_books(address: str) -> Books:
    """All of it, as of one moment."""
    connection = await asyncpg.connect(address, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = [Row(*row) async for row in connection.cursor(_ROWS, prefetch=_PIECE)]
            of_rows = {row[0]: sums(row) for row in await connection.fetch(_SUM_OF_ROWS)}
            of_hours = {row[0]: sums(row) for row in await connection.fetch(_SUM_OF_HOURS)}
            return Books(rows, of_rows, of_hours)
    finally:
        await connection.close()


def sums(row: Iterable[object]) -> Sums:
    """A row of a query, without the name it begins with."""
    _, *numbers = row
    # A sum is a Decimal, and one of 10,000 may be written 1E+4.
    return Sums(*(int(Decimal(str(number))) for number in numbers))


def judge(book: Book, books: Books) -> Verdict:
    """Compare."""
    verdict = Verdict(answered=len(book.answers), rows=len(books.rows))
    found: set[str] = set()
    for row in books.rows:
        verdict.cost_of_all_rows += row.cost or 0
        verdict.unpriced += row.cost is None
        answer = book.answers.get(row.id)
        if row.id in found:
            verdict.duplicated.append(row.id)
        found.add(row.id)
        if answer is None:
            verdict.other_rows += 1
            continue
        if answer.cost is None:
            verdict.unknown_cost += row.cost or 0
        else:
            verdict.cost_in_rows += row.cost or 0
        if row.status != answer.status:
            told = f"{row.outcome} {row.status} in the store, {answer.status} for the client"
            verdict.misreported[row.id] = told
        if (why := _difference(answer, row)) is not None:
            verdict.differing[row.id] = why
    verdict.missing = [one for one in book.answers if one not in found]
    verdict.recorded = verdict.answered - len(verdict.missing)
    verdict.cost_by_clients = sum(answer.cost or 0 for answer in book.answers.values())
    verdict.cost_in_hours = sum(sums.cost for sums in books.of_hours.values())
    verdict.keys_differing = _compare(books.of_rows, books.of_hours)
    return verdict


def _difference(answer: Answer, row: Row) -> str | None:
    if row.key != answer.key:
        return f"{row.key} in the store, {answer.key} for the client"
    if answer.end == "whole" and row.outcome != "completed":
        return f"{row.outcome} in the store, whole for the client"
    if answer.used is None:
        return None
    used = answer.used
    due = (used.input, used.output, used.cached, used.reasoning)
    got = (row.input, row.output, row.cached, row.reasoning)
    if got != due:
        return f"tokens {got} in the store, {due} for the client"
    if row.cost != answer.cost:
        return f"cost {row.cost} in the store, {answer.cost} for the client"
    return None


def _compare(of_rows: Mapping[str, Sums], of_hours: Mapping[str, Sums]) -> dict[str, str]:
    return {
        key: f"{of_rows.get(key)} in rows, {of_hours.get(key)} in hours"
        for key in sorted(of_rows.keys() | of_hours.keys())
        if of_rows.get(key) != of_hours.get(key)
    }
