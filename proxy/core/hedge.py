"""A second try beside the first, when that is late: whichever answers first is taken.

The other is cancelled, and what it cost is recorded: it was asked, and its vendor may charge for
it. A second try never takes the first away: if it cannot be made, or fails, the first goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable

from proxy.base.clock import monotonic
from proxy.base.errors import UpstreamError
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.policy import Hedge
from proxy.core.send import Good
from proxy.core.target import Target

HEDGED = "hedged"

Race = tuple[Attempt, "asyncio.Task[Good]"]


def patience(hedge: Hedge, target: Target) -> float | None:
    """Seconds to wait for the first token; None: nobody knows yet what is late."""
    if hedge.after is not None:
        return hedge.after
    return target.health.quantile(hedge.quantile) if hedge.quantile is not None else None


async def hedged(
    x: Exchange,
    first: Race,
    late: float,
    second: Callable[[], Awaitable[Race | None]],
    failed: Callable[[Attempt, UpstreamError], None],
) -> tuple[Attempt, Good]:
    """The first good answer of two tries. `second` begins the other, or says that it may not.
    `failed` is told of one that fails while the other may still answer.

    Raises the UpstreamError of the last that failed; its attempt is the last then."""
    running = [first]
    try:
        await asyncio.wait({first[1]}, timeout=late)
        if not first[1].done() and (other := await second()) is not None:
            running.append(other)
        winner, good = await _first_good(x, running, failed)
    except BaseException:
        await _stop(running)
        raise
    _put_last(x, winner)  # It is the one that answers.
    for loser, _ in running:
        if not loser.open:
            loser.not_needed(HEDGED)
            continue
        loser.error = loser.reason = HEDGED
        loser.ended = monotonic()
        loser.over()
    try:
        await _stop(running)
    except BaseException:
        good[0].abort()
        raise
    return winner, good


async def _first_good(
    x: Exchange, running: list[Race], failed: Callable[[Attempt, UpstreamError], None]
) -> tuple[Attempt, Good]:
    """Takes out of `running` what is over."""
    while True:
        await asyncio.wait({task for _, task in running}, return_when=asyncio.FIRST_COMPLETED)
        for race in [race for race in running if race[1].done()]:
            attempt, task = race
            running.remove(race)
            try:
                return attempt, task.result()
            except UpstreamError as error:
                if not running:
                    _put_last(x, attempt)
                    raise
                failed(attempt, error)


def _put_last(x: Exchange, attempt: Attempt) -> None:
    x.attempts.remove(attempt)
    x.attempts.append(attempt)


async def _stop(running: list[Race]) -> None:
    """Give these tries up, all of them, also where this is cancelled while they end."""
    for _, task in running:
        task.cancel()
        task.add_done_callback(_abort)
    await asyncio.gather(*(task for _, task in running), return_exceptions=True)


def _abort(task: "asyncio.Task[Good]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result()[0].abort()
