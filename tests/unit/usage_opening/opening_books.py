"""Records that cost something in many scopes, and what they add up to, reckoned anew."""

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from proxy.base.periods import Span
from proxy.build.balances_child import Asked
from proxy.core.quota import Scope
from proxy.core.spending import Question
from proxy.wire.record import AttemptRecord, Cost, Usage, UsageRecord, line_of

DAY = 86400
BEGIN = int(datetime(2025, 11, 20, tzinfo=UTC).timestamp())
ALL_TIME = Span(0, None)


def attempt(
    provider: str,
    started: int,
    cost: int | None,
    *,
    used: bool = True,
    route: str | None = None,
) -> AttemptRecord:
    return AttemptRecord(
        provider,
        "a-model",
        started,
        started + 1000,
        usage=Usage(1, 1) if used else None,
        cost=Cost(total=cost, output=cost) if cost is not None else None,
        route=route,
    )


def record(number: int, at: float, *attempts: AttemptRecord, **more: object) -> UsageRecord:
    costs = [each.cost.total for each in attempts if each.cost is not None]
    fields: dict[str, object] = {
        "key": "alice",
        "model": "gpt-4o",
        "route": "gpt-*",
        "served_provider": attempts[-1].provider if attempts else None,
        "cost": sum(costs),
    }
    return UsageRecord(
        id=f"req_{number:032x}",
        at=int(at * 1_000_000),
        worker="worker-0",
        config="c",
        operation="chat",
        outcome="completed",
        status=200,
        done=2_000_000,
        attempts=attempts,
        **(fields | more),  # type: ignore[arg-type]
    )


def drawn(
    draw: random.Random, count: int, routes: Sequence[str | None] = (None, "fallback-1", "gpt-5")
) -> list[UsageRecord]:
    """Records of three days, of few and of many names. `routes`: where attempts were made, in place
    of the model that took the request."""
    found = []
    for number in range(count):
        attempts = tuple(
            attempt(
                draw.choice("pqr"),
                draw.randrange(10**9),
                draw.choice((None, 0, 1, 999, 10**6)),
                route=draw.choice(routes),
            )
            for _ in range(draw.randrange(4))
        )
        found.append(
            record(
                number,
                BEGIN + draw.random() * 3 * DAY,
                *attempts,
                key=draw.choice(("alice", "bob", "bob/x", "")),  # The third brought a token.
                team=draw.choice(("red", None)),
                user=draw.choice(("u1", None)),
                project=draw.choice(("p1", None)),
                customer=draw.choice((None, f"c{number % 50}", "nul\0led", "x" * 400)),
                agent=draw.choice(("bot", None)),
                session=draw.choice((None, f"s{number}")),
                tags=draw.choice(((), ("night",), ("night", "batch"), ("night", "night"))),
                model=draw.choice(("gpt-4o", "gpt-100%_sure", "o1", None)),
                route=draw.choice(("gpt-*", "o1", None)),
            )
        )
    return found


def spent(records: Iterable[UsageRecord], kind: str, name: str, span: Span) -> int:
    """What a scope spent, in the plainest way."""
    total = 0
    for each in records:
        for one in each.attempts:
            at = (each.at + one.started) / 1_000_000
            of_it = _is_of(each, one, kind, name)
            if one.cost is not None and of_it and at in span:
                total += one.cost.total
    return total


def _is_of(each: UsageRecord, one: AttemptRecord, kind: str, name: str) -> bool:
    if kind == "global":
        return True
    if kind == "provider":
        return one.provider == name
    if kind == "tag":
        return name in each.tags
    if kind == "model":
        return (one.route or each.route) == name
    if kind == "key_model":
        key, _, pattern = name.partition("/")
        before, star, after = pattern.partition("*")
        model = one.route or each.model
        if each.key != key or model is None:
            return False
        return (model.startswith(before) and model.endswith(after)) if star else model == pattern
    return bool(getattr(each, kind) == name)


SCOPES: Sequence[Scope] = (
    Scope("global", ""),
    Scope("key", "alice"),
    Scope("key", "bob/x"),
    Scope("key_model", "alice/gpt-4o"),
    Scope("key_model", "alice/gpt-*"),
    Scope("key_model", "bob/*_sure"),
    Scope("key_model", "alice/gpt-100%_*"),
    Scope("model", "gpt-*"),
    Scope("model", "fallback-1"),
    Scope("key_model", "alice/fallback-1"),
    Scope("provider", "q"),
    Scope("user", "u1"),
    Scope("team", "red"),
    Scope("project", "p1"),
    Scope("customer", "c7"),
    Scope("customer", "nobody"),
    Scope("agent", "bot"),
    Scope("session", "s11"),
    Scope("tag", "night"),
    Scope("tag", "batch"),
)

QUARTER = 900
SPANS = (
    Span(BEGIN + DAY, BEGIN + 2 * DAY),
    Span(BEGIN + QUARTER * 23, BEGIN + DAY + QUARTER * 23),  # A day in Kathmandu.
    ALL_TIME,
)


def questions(since: int | None = None) -> tuple[Question, ...]:
    return tuple(Question(scope, SPANS, since) for scope in SCOPES)


def asked(folder: Path, store: str | None, of: tuple[Question, ...], **more: object) -> Asked:
    fields: dict[str, object] = {"worker": "worker-0", "pid": 1, "began": 0}
    return Asked(store, folder, folder / "spool", questions=of, **(fields | more))  # type: ignore[arg-type]


def write_segment(folder: Path, records: Iterable[UsageRecord], *, number: int, pid: int) -> Path:
    """A finished segment of a worker."""
    spool = folder / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    path = spool / f"worker-0-{1_763_640_000_000 + number:013d}-{pid}-{number:04d}.seg"
    path.write_bytes(b"".join(map(line_of, records)))
    return path


def in_parts(records: Sequence[UsageRecord], size: int) -> Iterator[Sequence[UsageRecord]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]


def segments_in(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.seg"))
