"""What single attempts cost, by the ids of their requests: looked up when holds are set right.

An id begins with the millisecond in which it was made, and rows are kept by their time; so a row is
sought some seconds around it, where the primary key leads to few. A wall clock that was put further
during the request hides its row; then nothing is known of it, which is always allowed.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from proxy.base.jsonio import loads
from proxy.core.accounting import WORKER_DIED, StoreAway
from proxy.stores.postgres.sessions import questions, session

_AROUND = timedelta(seconds=10)
_AT_ONCE = 500
_FIND = (
    "SELECT u.id, u.attempts::text, u.error"
    " FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[])"
    " AS h(id, first, last) JOIN usage u ON u.id = h.id AND u.at BETWEEN h.first AND h.last"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PostgresAttempts:
    """Reads what `PostgresUsage` wrote. `address`: the database's URL; None while it is away."""

    def __init__(self, address: Callable[[], str | None]) -> None:
        self._address = address

    async def costs(self, requests: Sequence[str]) -> Mapping[str, tuple[int | None, ...] | None]:
        """Of the requests that have a record: nano-USD of each attempt in its order, None where
        something was used that has no price. None for all where the record was made of what a dead
        worker held: that tells nothing new. Raises StoreAway."""
        dsn = self._address()
        if dsn is None:
            raise StoreAway("there is no store yet")
        found: dict[str, tuple[int | None, ...] | None] = {}
        async with session(dsn) as connection:
            for begin in range(0, len(requests), _AT_ONCE):
                ids = requests[begin : begin + _AT_ONCE]
                made = [_EPOCH + timedelta(milliseconds=int(id[4:16], 16)) for id in ids]
                first, last = [at - _AROUND for at in made], [at + _AROUND for at in made]
                with questions():
                    rows = await connection.fetch(_FIND, ids, first, last)
                for id, attempts, error in rows:
                    known = tuple(_cost(attempt) for attempt in loads(attempts))
                    found[id] = known if error != WORKER_DIED else None
        return found


def _cost(attempt: Any) -> int | None:
    if "cost" in attempt:
        return int(attempt["cost"].get("total", 0))
    return None if "usage" in attempt else 0
