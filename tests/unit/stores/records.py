"""Usage records for tests, and what must be true of a database that holds them."""

from collections.abc import Sequence
from typing import Any

from proxy.wire.record import AttemptRecord, Cost, Usage, UsageRecord
from tests.fakes.postgres import query

NOON = 1_763_640_000_000_000
"""2025-11-20 12:00 UTC, in microseconds."""
DAY = 86_400_000_000
HOUR = 3_600_000_000


def spending(number: int) -> tuple[Usage, Cost]:
    usage = Usage(input=100 + number % 7, output=50, cached_read=10, reasoning=3)
    cost = Cost(total=1500 + number % 7, input=1000 + number % 7, output=400, reasoning=100)
    return usage, cost


def attempt(number: int, provider: str = "openai", model: str = "gpt-4o") -> AttemptRecord:
    usage, cost = spending(number)
    return AttemptRecord(
        provider=provider,
        model=model,
        started=120,
        ended=1_234_000,
        first_byte=400_000,
        status=200,
        usage=usage,
        usage_source="upstream",
        cost=cost,
        span="a" * 16,
    )


def record(number: int, **changes: Any) -> UsageRecord:
    """A completed request, different for each number."""
    usage, cost = spending(number)
    fields: dict[str, Any] = {
        "id": f"req_{number:032x}",
        "at": NOON + number * 1000,
        "worker": "worker-1",
        "config": "abc123",
        "operation": "chat",
        "outcome": "completed",
        "status": 200,
        "done": 1_234_567,
        "key": f"key-{number % 5}",
        "team": f"team-{number % 3}",
        "tags": ("night", "batch")[: number % 3],
        "model": "gpt-4o",
        "route": "gpt-4o",
        "served_provider": "openai",
        "served_model": "gpt-4o",
        "stream": True,
        "bytes_in": 1000,
        "bytes_out": 3000,
        "admitted": 100,
        "first_token": 400_000,
        "overhead": 300,
        "usage": usage,
        "usage_source": "upstream",
        "cost": cost.total,
        "prices": "2026-11",
        "attempts": (attempt(number),),
        "trace": "b" * 32,
        "span": "c" * 16,
    }
    return UsageRecord(**(fields | changes))


def records(count: int, start: int = 0) -> list[UsageRecord]:
    return [record(number) for number in range(start, start + count)]


_SUMS = {
    "requests": "count(*)",
    "completed": "count(*) FILTER (WHERE outcome = 'completed')",
    "failed": "count(*) FILTER (WHERE outcome = 'failed')",
    "refused": "count(*) FILTER (WHERE outcome = 'refused')",
    "cut": "count(*) FILTER (WHERE outcome = 'upstream_cut')",
    "gone": "count(*) FILTER (WHERE outcome = 'client_gone')",
    "cached": "count(*) FILTER (WHERE outcome = 'cached')",
    "unpriced": "count(*) FILTER (WHERE unpriced)",
    "streams": "count(*) FILTER (WHERE stream)",
    "attempts": "sum(jsonb_array_length(attempts))",
    "input_tokens": "sum(input_tokens)",
    "output_tokens": "sum(output_tokens)",
    "cached_read_tokens": "sum(cached_read_tokens)",
    "cache_write_tokens": "sum(cache_write_tokens)",
    "reasoning_tokens": "sum(reasoning_tokens)",
    "audio_in_tokens": "sum(audio_in_tokens)",
    "audio_out_tokens": "sum(audio_out_tokens)",
    "images": "sum(images)",
    "cost": "sum(cost)",
    "duration_us": "sum(done_us)",
    "first_token_us": "sum(first_token_us)",
    "first_tokens": "count(first_token_us)",
    "overhead_us": "sum(overhead_us)",
    "overheads": "count(overhead_us)",
    "bytes_in": "sum(bytes_in)",
    "bytes_out": "sum(bytes_out)",
}


async def assert_books_agree(dsn: str, expected: Sequence[UsageRecord]) -> None:
    """The rows are the records, each once, and the roll-ups are their sums."""
    rows = await query(dsn, 'SELECT id FROM usage ORDER BY id COLLATE "C"')
    assert [id_ for (id_,) in rows] == sorted({each.id for each in expected})
    hours = ", ".join(f"coalesce(sum({name}), 0)" for name in _SUMS)
    sums = ", ".join(f"coalesce({text}, 0)" for text in _SUMS.values())
    [rolled] = await query(dsn, f"SELECT {hours} FROM usage_hourly WHERE tag_first")
    [summed] = await query(dsn, f"SELECT {sums} FROM usage")
    assert dict(zip(_SUMS, rolled, strict=True)) == dict(zip(_SUMS, summed, strict=True))
    tagged = (
        "SELECT unnest(CASE tags WHEN '{}' THEN '{\"\"}' ELSE tags END) AS tag, cost FROM usage"
    )
    by_tag = await query(
        dsn, f"SELECT tag, coalesce(sum(cost), 0) FROM ({tagged}) GROUP BY 1 ORDER BY 1"
    )
    assert by_tag == await query(
        dsn, "SELECT tag, sum(cost) FROM usage_hourly GROUP BY 1 ORDER BY 1"
    )
