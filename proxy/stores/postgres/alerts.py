"""The AlertStore in PostgreSQL: sums of `spent`, documents of the directory, alerts and the outbox.

Which alert is new is decided by a unique key in the statement that also makes its deliveries, so it
has all of them or none. Times of the outbox are the database's: hosts need not agree on the clock.
A connection for each call: they are seconds apart.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import asyncpg

from proxy.base.jsonio import loads
from proxy.base.periods import Span
from proxy.core.accounting import StoreAway
from proxy.core.alerts import Alert, Claim, Delivery, Question, StoredBudgets
from proxy.core.quota import Scope, ScopeKind
from proxy.stores.postgres.sessions import questions as asking
from proxy.stores.postgres.sessions import session
from proxy.stores.postgres.transaction import transaction

_ANSWER = 70.0  # Seconds. A little more than statements may take: the server may hang.
_LOCAL = "SET LOCAL statement_timeout = '60s'; SET LOCAL jit = off"
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)  # The end of `total`.
_LONGEST_ERROR = 500

_SEQ = "SELECT coalesce(max(seq), 0) FROM audit"
_WITH_ALERTS = "jsonb_path_exists(document, '$.budgets[*].alerts[*]')"
_KEYS = (
    "SELECT document FROM keys WHERE deleted IS NULL AND ("
    f"{_WITH_ALERTS} OR jsonb_path_exists(document, '$.model_limits.*.budgets[*].alerts[*]'))"
)
_SCOPES = f"SELECT kind, name, document FROM scopes WHERE deleted IS NULL AND {_WITH_ALERTS}"
_WRITTEN = """
SELECT q.kind, q.name FROM unnest($1::text[], $2::text[]) AS q(kind, name)
WHERE EXISTS (SELECT FROM scopes s
              WHERE s.kind = q.kind AND s.name = q.name AND s.deleted IS NULL)
   OR q.kind = 'key' AND EXISTS (SELECT FROM keys k WHERE k.name = q.name AND k.deleted IS NULL)
"""
_SPENT = """
SELECT name, sum(cost)::bigint FROM spent
WHERE kind = $1 AND slot >= $2 AND slot < $3 AND ($4::text[] IS NULL OR name = ANY($4::text[]))
GROUP BY name HAVING sum(cost) >= $5
"""
_SPENT_BY_MODEL = """
SELECT name, sum(cost)::bigint FROM spent
WHERE kind = 'key_model' AND starts_with(name, $1) AND slot >= $2 AND slot < $3 GROUP BY name
"""
_KEEP = """
WITH new AS (
    INSERT INTO alerts (id, kind, name, rule, window_start, window_end, percent, body)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],
                         $6::timestamptz[], $7::int[], $8::bytea[])
    ON CONFLICT (kind, name, rule, window_start, percent) DO NOTHING RETURNING id
), sending AS (
    INSERT INTO alert_deliveries (alert, receiver)
    SELECT new.id, r FROM new CROSS JOIN unnest($9::text[]) AS r
)
SELECT count(*) FROM new
"""
_GIVE_UP = """
UPDATE alert_deliveries d SET next_try = NULL, given_up_at = now(), last_error = 'no such receiver'
FROM alerts a WHERE a.id = d.alert AND d.next_try IS NOT NULL AND d.receiver <> ALL($1::text[])
    AND a.created < now() - interval '2 days'
"""
_FORGET = "DELETE FROM alerts WHERE window_end < now() - interval '90 days'"
_CLAIM = """
WITH due AS (
    SELECT alert, receiver FROM alert_deliveries
    WHERE receiver = $1 AND next_try <= now() ORDER BY next_try, alert LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE alert_deliveries d SET attempts = d.attempts + 1, next_try = now() + $3::interval
FROM due, alerts a WHERE d.alert = due.alert AND d.receiver = due.receiver AND a.id = d.alert
RETURNING a.id, a.body, d.attempts, extract(epoch FROM now() - a.created)::float8
"""
_WAITING = """
SELECT count(*), extract(epoch FROM min(next_try) - now())::float8
FROM alert_deliveries WHERE receiver = $1 AND next_try IS NOT NULL
"""
_SENT = """
UPDATE alert_deliveries SET sent_at = now(), next_try = NULL, given_up_at = NULL, last_error = NULL
WHERE alert = $1 AND receiver = $2 AND sent_at IS NULL
"""
_FAILED = """
UPDATE alert_deliveries SET last_error = $3, next_try = now() + $4::interval,
    given_up_at = CASE WHEN $4::interval IS NULL THEN now() END
WHERE alert = $1 AND receiver = $2 AND sent_at IS NULL
"""


class PostgresAlerts:
    """The AlertStore. `address`: the database's URL; None while there is none."""

    def __init__(self, address: Callable[[], str | None]) -> None:
        self._address = address

    async def budgets(self, known: int | None) -> StoredBudgets | None:
        async with self._working() as connection:
            # First the number: what changes in between is read once more.
            seq = await connection.fetchval(_SEQ)
            if seq == known:
                return None
            keys = await connection.fetch(_KEYS)
            scopes = await connection.fetch(_SCOPES)
        return StoredBudgets(
            seq,
            tuple(loads(document) for (document,) in keys),
            tuple((_scope(kind, name), loads(document)) for kind, name, document in scopes),
        )

    async def written(self, scopes: Collection[Scope]) -> frozenset[Scope]:
        kinds, names = [each.kind for each in scopes], [each.name for each in scopes]
        async with self._working() as connection:
            rows = await connection.fetch(_WRITTEN, kinds, names)
        return frozenset(_scope(kind, name) for kind, name in rows)

    async def spent(self, questions: Sequence[Question]) -> list[Mapping[str, int]]:
        answers: list[Mapping[str, int]] = []
        async with self._working() as connection:
            for each in questions:
                names = list(each.names) if each.names is not None else None
                rows = await connection.fetch(
                    _SPENT, each.kind, *_times(each.window), names, each.at_least
                )
                answers.append({row[0]: row[1] for row in rows})
        return answers

    async def spent_by_model(self, key: str, window: Span) -> Mapping[str, int]:
        prefix = f"{key}/"
        async with self._working() as connection:
            rows = await connection.fetch(_SPENT_BY_MODEL, prefix, *_times(window))
        return {row[0].removeprefix(prefix): row[1] for row in rows}

    async def keep(self, alerts: Sequence[Alert], receivers: Sequence[str]) -> int:
        # In one order, so that two hosts wait for each other and not both for ever.
        rows = sorted(
            (
                (each.id, *each.scope, each.rule, *_times(each.window), each.percent, each.body)
                for each in alerts
            ),
            key=lambda row: row[1:],
        )
        columns = [list(values) for values in zip(*rows, strict=True)]
        async with self._working() as connection:
            return int(await connection.fetchval(_KEEP, *columns, list(receivers)))

    async def forget(self, receivers: Sequence[str]) -> None:
        async with self._working() as connection:
            await connection.execute(_GIVE_UP, list(receivers))
            await connection.execute(_FORGET)

    async def claim(self, receiver: str, most: int, lease: float) -> Claim:
        async with self._working() as connection:
            rows = await connection.fetch(_CLAIM, receiver, most, timedelta(seconds=lease))
            waiting, pause = await connection.fetchrow(_WAITING, receiver)
        return Claim(tuple(Delivery(*row) for row in rows), waiting, pause)

    async def sent(self, id: str, receiver: str) -> None:
        async with self._working() as connection:
            await connection.execute(_SENT, id, receiver)

    async def failed(self, id: str, receiver: str, error: str, again: float | None) -> None:
        pause = timedelta(seconds=again) if again is not None else None
        said = error.replace("\0", "\ufffd")[:_LONGEST_ERROR]
        async with self._working() as connection:
            await connection.execute(_FAILED, id, receiver, said, pause)

    @contextlib.asynccontextmanager
    async def _working(self) -> AsyncIterator[asyncpg.Connection]:
        if (dsn := self._address()) is None:
            raise StoreAway("it is being started")
        async with session(dsn, _ANSWER) as connection:
            with asking():
                async with transaction(connection, _LOCAL):
                    yield connection


def _scope(kind: str, name: str) -> Scope:
    return Scope(cast("ScopeKind", kind), name)


def _times(window: Span) -> tuple[datetime, datetime]:
    end = _LATEST if window.end is None else datetime.fromtimestamp(window.end, UTC)
    return datetime.fromtimestamp(window.start, UTC), end
