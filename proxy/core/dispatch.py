"""One visible loop over the plan: try a target, the same again, or the next, while that is safe.

Up to the commit point another answer may take the place of one that failed: before its head, or
after it as long as nothing of it has left (relay.py). What an error leads to stands in verdicts.py.
Retry is this loop, never a layer.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

from proxy.base.clock import monotonic
from proxy.base.errors import InternalError, ProxyError, UpstreamError
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.failures import Failure, told
from proxy.core.fitting import fit
from proxy.core.hedge import HEDGED, Race, hedged, patience
from proxy.core.outgoing import Timeouts
from proxy.core.pauses import pause, within
from proxy.core.policy import USUAL, Hedge
from proxy.core.reply import Reply
from proxy.core.send import Good, reply_of, send
from proxy.core.target import Target
from proxy.core.tracing import new_span
from proxy.core.verdicts import Verdict, verdict
from proxy.wire.body import Body
from proxy.wire.continuation import prefill_body


def dispatch(x: Exchange) -> Awaitable[Reply]:
    """Await it for the first good answer of the plan's targets. That raises the UpstreamError that
    tells most of what they answered, or what stood against all of them: BudgetExceeded,
    LimitReached, OperatorError, StoreUnavailable."""
    x.tries = tries = Tries(x)
    retries = x.runtime.retries
    if not retries.is_full:
        retries.earn()
    return tries.reply(x.plan[0] if x.plan else None)


class Tries:
    """Where a request stands in its plan."""

    __slots__ = (
        "_body",
        "_deadline",
        "_failures",
        "_fallback",
        "_filters",
        "_need",
        "_place",
        "_tried",
        "_watchers",
        "_x",
    )

    def __init__(self, x: Exchange) -> None:
        self._x = x
        self._place = 0  # In the plan: the target to try now.
        self._tried = 0  # How often that was asked.
        self._failures: list[Failure] = []
        self._fallback = fallback = (x.route.policy if x.route is not None else USUAL).fallback
        self._deadline = x.arrived + fallback.total
        self._filters = tuple(x.filters)
        self._watchers = tuple(x.watchers)
        self._body = x.body.mark() if type(x.body) is Body else None
        self._need = x.need  # Of that body.

    @property
    def has_more(self) -> bool:
        """Whether anything could take the place of the answer that is coming now."""
        plan = self._x.plan
        if self._place + 1 == len(plan) and self._tried >= plan[-1].policy.retry.attempts:
            return False
        return self.may_go_on() and not self._is_used_up()

    async def reply(self, target: Target | None) -> Reply:
        """The next good answer, behind a hold of its own. `target`: the one to try now."""
        x = self._x
        while target is not None:
            attempt = self.attempt(target)
            try:
                if not self._held_now(attempt):
                    await self._hold_later(attempt)
            except ProxyError as error:  # Another target may be cheaper, or below its limits.
                self._failures.append(Failure(target, error))
                self._go_to(self._place + 1)
                target = self._target()
                continue
            self._tried += 1
            try:
                if target.policy.hedge is None:
                    return reply_of(x, attempt, await send(x, attempt, self.timeouts(target)))
                return reply_of(x, *await self._hedged(attempt, target.policy.hedge))
            except UpstreamError as error:
                failed = error
            attempt = x.attempts[-1]
            attempt.failed(x.id, failed)
            await self._after(attempt.target, failed)
            target = self._target()
        raise told(self._failures) or InternalError("the plan of this request is empty")

    def attempt(self, target: Target) -> Attempt:
        """One more try."""
        x = self._x
        trace = x.trace
        if self._failures or x.attempts:
            return Attempt(target, new_span() if trace.span is not None else None)
        return Attempt(target, trace.first, x.admitted)

    async def hold(self, attempt: Attempt, begun: str | None = None) -> None:
        """What stands before every attempt. `begun`: the answer's beginning, for the vendor to go
        on from. Raises ProxyError where it may not be made."""
        if not self._held_now(attempt, begun):
            await self._hold_later(attempt)

    def _held_now(self, attempt: Attempt, begun: str | None = None) -> bool:
        """The same, where nobody has to be asked for it: then it is done."""
        x, body, target = self._x, self._x.body, attempt.target
        if x.attempts or self._failures:
            self._restore_body()
        if type(body) is Body:
            fit(x, body, target)
            if begun is not None:
                prefill_body(body, begun)
                x.need = None  # There is more to read now.
        gate = x.runtime.gate
        if gate is not None and not gate.hold_now(x, target, attempt):
            return False
        x.attempts.append(attempt)
        return True

    async def _hold_later(self, attempt: Attempt) -> None:
        gate = self._x.runtime.gate
        if gate is not None:
            await gate.hold(self._x, attempt.target, attempt)
        self._x.attempts.append(attempt)

    def moved(self, target: Target, error: ProxyError) -> Target | None:
        """Note what stood against a target. The next one that may do better, made the present
        one."""
        self._failures.append(Failure(target, error))
        following = self._place + 1
        if isinstance(error, UpstreamError):
            found = self._next(target, error, verdict(error.reason))
            following = len(self._x.plan) if found is None else found
        self._go_to(following)
        return self._target()

    async def _hedged(self, first: Attempt, hedge: Hedge) -> tuple[Attempt, Good]:
        """The answer of `first`, or of a second try beside it where that is late."""
        x = self._x
        hedge.allowance.earn()
        late = patience(hedge, first.target)
        if late is None or not isinstance(x.body, Body):
            return first, await send(x, first, self.timeouts(first.target))

        def begin(attempt: Attempt) -> Race:
            timeouts = self.timeouts(attempt.target)
            task = asyncio.create_task(  # noqa: TID251 - `hedged` awaits it, and its failure is no bug.
                send(x, attempt, timeouts), name=f"try {x.id}"
            )
            return attempt, task

        beside: list[Attempt] = []

        async def second() -> Race | None:
            target = self._beside(first.target)
            may = self.may_go_on() and target.health.why_not(monotonic()) is None
            if not (may and hedge.allowance.spend()):
                return None
            attempt = self.attempt(target)
            attempt.hedge = True
            try:
                await self.hold(attempt)
            except ProxyError:  # The first goes on; should it fail, this one is asked in its turn.
                return None
            if race[1].done():  # While the other was being held for.
                attempt.not_needed(HEDGED)
                return None
            beside.append(attempt)
            return begin(attempt)

        def failed(attempt: Attempt, error: UpstreamError) -> None:
            attempt.failed(x.id, error)
            self._failures.append(Failure(attempt.target, error))

        race = begin(first)
        try:
            winner, good = await hedged(x, race, late, second, failed)
        except UpstreamError:
            self._count_beside(first, beside)
            raise
        if winner is not first or (beside and beside[0].reason != HEDGED):
            self._count_beside(first, beside)
        return winner, good

    def _beside(self, first: Target) -> Target:
        """Whom to ask while `first` is late: the next, where being late may lead there."""
        for following in self._x.plan[self._place + 1 :]:
            if following.route == first.route or "timeout" in self._fallback.on:
                return following
            break
        return first

    def _count_beside(self, first: Attempt, beside: list[Attempt]) -> None:
        """What was asked beside `first`, and has answered or failed, is not to be asked as if it
        were new."""
        for attempt in beside:
            if attempt.target is first.target:
                self._tried += 1
            else:
                self._go_to(self._place + 1)
                self._tried = 1

    async def instead(self, error: UpstreamError) -> Reply:
        """The next good answer, in place of one that failed before anything of it had left."""
        x = self._x
        attempt = x.attempts[-1]
        if attempt.error is None:
            attempt.failed(x.id, error)
        x.put_away(attempt)
        x.filters[:] = self._filters
        x.watchers[:] = self._watchers
        x.first_byte = 0.0
        await self._after(attempt.target, error)
        try:
            return await self.reply(self._target())
        except ProxyError as last:
            if x.reply is not None:
                x.reply.status = last.status  # What the caller is told in its place.
            raise

    def _target(self) -> Target | None:
        """The next to try; None: there is none, or no time for it."""
        x = self._x
        if not self.may_go_on():
            return None
        while self._place < len(x.plan):
            target = x.plan[self._place]
            health = target.health
            if self._tried or (target.policy.breaker.bypass and health.barred is None):
                return target
            why = health.why_not(monotonic())
            if why is None:
                return target
            x.dropped.append((target, why))
            self._place += 1
        return None

    def may_go_on(self) -> bool:
        """Whether one more try is allowed, and in time."""
        tried = len(self._x.attempts)
        return tried < self._fallback.max_attempts and monotonic() < self._deadline

    async def _after(self, target: Target, error: UpstreamError) -> None:
        """Wait for the same target, or go to the next that may help."""
        self._failures.append(Failure(target, error))
        found = verdict(error.reason)
        if self._is_used_up() or (error.sent and not self._x.operation.has_model):
            self._go_to(len(self._x.plan))
            return
        is_here = target is self._x.plan[self._place]  # Not so where one beside it failed before.
        if is_here and _has_other_key(self._x.attempts[-1], error):
            return  # The same target, and no pause: the key that was refused rests.
        following = self._next(target, error, found)
        wait = self._wait(target, error, found, alone=following is None) if is_here else None
        if wait is not None and self._x.runtime.retries.spend():
            await asyncio.sleep(wait)
        else:
            self._go_to(following if following is not None else len(self._x.plan))

    def _wait(
        self, target: Target, error: UpstreamError, found: Verdict, *, alone: bool
    ) -> float | None:
        """Seconds until the same target is asked again; None: it is not."""
        again = found.again or (alone and error.reason == "rate_limit")
        retry = target.policy.retry
        if not again or self._tried >= retry.attempts:
            return None
        wait = pause(retry, self._tried, error.headers)
        return wait if wait is not None and within(self._deadline, wait) else None

    def _next(self, target: Target, error: UpstreamError, found: Verdict) -> int | None:
        """The place of the next target in the plan that may do better."""
        plan = self._x.plan
        for place in range(self._place + 1, len(plan)):
            other = plan[place]
            same = other.route == target.route
            may = found.other if same else found.trigger in self._fallback.on
            if may and (error.reason != "context_length" or _is_larger(other, target)):
                return place
        return None

    def _restore_body(self) -> None:
        """What was changed for one target is not for the next."""
        body = self._x.body
        if isinstance(body, Body) and self._body is not None:
            body.restore(self._body)
        self._x.need = self._need
        self._x.cap = None
        self._x.left_out = 0

    def _go_to(self, place: int) -> None:
        self._place = place
        self._tried = 0

    def _is_used_up(self) -> bool:
        """Whether the body cannot be sent a second time."""
        return getattr(self._x.body, "started", False)

    def timeouts(self, target: Target) -> Timeouts:
        """Those of the provider; for a further try no more than is left of the whole."""
        timeouts = target.provider.timeouts
        if len(self._x.attempts) == 1:
            return timeouts
        left = max(0.001, self._deadline - monotonic())
        if timeouts.first_token <= left:
            return timeouts
        return replace(timeouts, first_token=left, connect=min(timeouts.connect, left))


def _has_other_key(attempt: Attempt, error: UpstreamError) -> bool:
    """Whether it was our key that was refused, and there is another."""
    keys = attempt.target.provider.keys
    of_key = error.reason in {"auth", "rate_limit"}
    return of_key and keys is not None and keys.has_other(attempt.key)


def _is_larger(other: Target, than: Target) -> bool:
    """Whether `other` may take a context that `than` refused."""
    if other.context_window is None:
        return than.context_window is not None or other.model != than.model
    return than.context_window is None or other.context_window > than.context_window
