"""The walls, asked in the life of a request: admit, hold before every attempt, settle at the end.

A request is first asked for by the length of its text, which costs nothing. Where that is refused
and a closer look could help, its tokens are counted, beside the loop, and it is asked once more.

Where the store cannot be asked the operator's policy decides: `deny`, `allow`, or `local`: the
worker's share of every limit, counted by itself.
"""

from dataclasses import dataclass
from typing import Final

from proxy.base.errors import ProxyError, Unreachable
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.gate import EarlyHold, Need, PriceList
from proxy.core.hold_book import HoldBook
from proxy.core.quota import (
    Demand,
    Denial,
    Grant,
    JoinedQuota,
    Quota,
    QuotaExceeded,
    QuotaUnknown,
    Scope,
)
from proxy.core.target import Target
from proxy.limits import answers, bounds, holding
from proxy.limits.bundles import AttemptQuota, Bundle, Bundles
from proxy.limits.closer import closer_need
from proxy.limits.holding import Priced
from proxy.limits.need import need_of
from proxy.limits.queues import NO_QUEUES, Queues
from proxy.limits.telling import Policy, say_degraded, tell
from proxy.limits.waiting import WaitingRoom

_NEVER_SENT: Final = Unreachable.kind


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What the operator decided."""

    limits: Policy = "local"
    budgets: Policy = "deny"
    budget_status: int = 429
    max_queue: int = 0
    joined: bool = False  # Nothing that takes long stands between admission and the first hold.


class LimitsGate:
    """The Gate of a configuration."""

    __slots__ = ("_book", "_bundles", "_local", "_options", "_prices", "_queues", "_room")

    def __init__(
        self,
        bundles: Bundles,
        local: Bundles,
        prices: PriceList,
        room: WaitingRoom,
        options: GateOptions,
        *,
        book: HoldBook | None = None,
        queues: Queues = NO_QUEUES,
    ) -> None:
        """`local`: the worker's own share of everything, for when the store is away. `book`: where
        holds of money outlive the worker. `queues`: before providers."""
        self._queues = queues
        self._book = book
        self._bundles = bundles
        self._local = local
        self._prices = prices
        self._room = room
        self._options = options

    def forget(self) -> None:
        """Walls have changed: look all of them up anew."""
        self._bundles.forget()
        self._local.forget()

    def refuse_blocked(self, x: Exchange) -> None:
        """For what is answered without limits: is the caller, or whoever it belongs to, blocked?"""
        self._bundles.refuse_blocked(x)

    def admit_now(self, x: Exchange) -> bool:
        """As `admit`, where that can be decided at once."""
        bundle = x.around = self._bundles.of(x)
        x.teller = tell
        if bundle.per_request is not None or bundle.take_now is None or self._room.waiting:
            return bundle.per_request is None and bundle.rates is None
        tokens = 0
        if bundle.counts_tokens:
            need = x.need = need_of(x)
            tokens = bounds.tokens(need)
        x.grant = bundle.take_now(tokens, 0, 0)
        return x.grant is not None

    async def admit(self, x: Exchange) -> None:
        """Take what the request needs from every limit, or nothing."""
        bundle = self._bundles.of(x)
        x.teller = tell
        if bundle.per_request is not None:
            await self._refuse_long(x, *bundle.per_request, _models(x))
        rates = bundle.rates
        if rates is None:
            return
        try:
            if bundle.joined is not None and await self._take_both(x, bundle, bundle.joined):
                return
            x.grant = await self._take_rates(x, rates, counts_tokens=bundle.counts_tokens)
        except QuotaUnknown:
            say_degraded(x, "limits", self._options.limits)
        else:
            return
        own = self._local.of(x).rates
        if self._options.limits == "local" and own is not None:
            x.grant = await self._take_rates(x, own, counts_tokens=bundle.counts_tokens)

    def hold_now(self, x: Exchange, target: Target, attempt: Attempt) -> bool:
        """As `hold`, where that can be decided at once."""
        if x.early is not None and self._held_early(x, x.early, attempt):
            return True
        bundles, bundle = self._bundles, x.around
        if type(bundle) is not Bundle or bundle.era is not bundles.era:
            bundle = bundles.of(x)
        asked = bundle.asked if bundle.target is target else bundles.attempt(bundle, target)
        if asked is None:
            return True
        if asked.take_now is None or (self._queues and self._is_queued(target)):
            return False
        if asked.per_request is not None:
            return False
        priced, tokens, money, least = self._asked(x, target, asked)
        grant = asked.take_now(tokens, money, least)
        if grant is None:
            return False
        attempt.hold = grant
        if priced is None:
            return True
        need = priced[0]
        if need.output is None:
            self._held(x, attempt, asked, grant, priced)
        elif grant.money and self._book is not None:
            attempt.kept = self._book.keep(x, attempt, grant.money, need[0], need.output)
        return True

    async def hold(self, x: Exchange, target: Target, attempt: Attempt) -> None:
        """Hold the most that this attempt can cost, before it is sent."""
        if self.hold_now(x, target, attempt):
            return
        asked = self._bundles.attempt(self._bundles.of(x), target)
        assert asked is not None  # Else there was nothing to hold.
        if asked.per_request is not None:
            await self._refuse_long(x, *asked.per_request, (target.model,))
        try:
            grant, priced = await self._take_attempt(x, target, asked, asked.quota)
        except QuotaUnknown:
            what, policy = "the limits of the provider", self._options.limits
            if asked.has_money:
                what, policy = "budgets", self._options.budgets
            say_degraded(x, what, policy)
        else:
            self._held(x, attempt, asked, grant, priced)
            return
        own = self._local.attempt(self._local.of(x), target)
        if policy == "allow" or own is None:
            return
        grant, priced = await self._take_attempt(x, target, asked, own.quota)
        self._held(x, attempt, asked, grant, priced)

    def _is_queued(self, target: Target) -> bool:
        """Whether others wait for this provider: nobody overtakes them."""
        queue = self._queues.get(target.provider.name)
        return queue is not None and queue.room.waiting > 0

    async def _take_both(self, x: Exchange, bundle: Bundle, rates: JoinedQuota) -> bool:
        """Admit it and hold for the one target that it can go to. False: nothing was taken."""
        route = x.route
        if (
            not self._options.joined
            or route is None
            or len(route.targets) > 1
            or self._room.waiting
        ):
            return False
        target = route.targets[0]
        if self._queues and self._is_queued(target):
            return False
        asked = self._bundles.attempt(bundle, target)
        if asked is None:
            return False
        try:
            priced, tokens, money, least = self._asked(x, target, asked)
        except ProxyError:  # It is told when it comes to that: another refusal may come before.
            return False
        limits = Demand(x.id, bounds.tokens(bounds.need(x)) if bundle.counts_tokens else 0)
        demand = Demand(f"{x.id}/1", tokens, money, least)
        both = await rates.take_both(limits, asked.quota, demand)
        if both is None:
            return False
        x.grant, hold = both
        x.early = EarlyHold(target, x.need, None if priced is None else priced[1], hold)
        return True

    def _held_early(self, x: Exchange, early: EarlyHold, attempt: Attempt) -> bool:
        """Make what was held at admission the hold of this attempt, where it is that."""
        x.early = None
        target, need, rates, grant = early
        if target is not attempt.target or need is not x.need:
            grant.cancel()
            return False
        if need is None or rates is None:
            attempt.hold = grant
        elif need.output is not None:
            attempt.hold = grant
            if grant.money and self._book is not None:
                attempt.kept = self._book.keep(x, attempt, grant.money, need[0], need.output)
        else:
            asked = self._bundles.attempt(self._bundles.of(x), target)
            assert asked is not None  # It was asked for.
            priced = need, rates, bounds.able(need, rates, stream=x.stream)
            self._held(x, attempt, asked, grant, priced)
        return True

    def _held(
        self,
        x: Exchange,
        attempt: Attempt,
        asked: AttemptQuota,
        grant: Grant,
        priced: Priced | None,
    ) -> None:
        attempt.hold = grant
        if priced is None:
            return
        if grant.money and self._book is not None:
            attempt.kept = self._book.keep(x, attempt, grant.money, *holding.bound(priced, grant))
        if asked.hard and priced[0].output is None:
            holding.bound_output(x, attempt, grant, priced)

    def settle(self, x: Exchange) -> None:
        """Charge what was used; give back what a request that was never sent had taken."""
        if x.early is not None:
            x.early.grant.cancel()
        tokens, sent = 0, False
        for attempt in x.attempts:
            usage, hold = attempt.usage, attempt.hold
            used = usage.input + usage.output if usage is not None else 0
            tokens += used
            reached = attempt.error != _NEVER_SENT or used > 0
            if hold is not None:
                if reached:
                    cost = attempt.cost
                    hold.settle(used, holding.charge(attempt, hold) if cost is None else cost)
                    if attempt.kept is not None:
                        attempt.kept.clear()
                else:
                    _give_back(attempt, hold)
            sent = sent or reached
        if x.grant is not None:
            if sent or x.finished:
                x.grant.settle(tokens, 0)
            else:
                x.grant.cancel()
            if self._room.waiting:
                self._wake(x)
        if self._queues:
            self._wake_queues(x)

    def _wake_queues(self, x: Exchange) -> None:
        for attempt in x.attempts:
            queue = self._queues.get(attempt.provider)
            if queue is not None and queue.room.waiting:
                queue.room.wake_all()

    def _wake(self, x: Exchange) -> None:
        """Let those go on who wait for the slot that this request had."""
        try:
            rates = self._bundles.of(x).rates
        except ProxyError:  # Its team was blocked meanwhile: the others look again by themselves.
            return
        self._room.freed(rates)

    @staticmethod
    async def _refuse_long(x: Exchange, limit: int, scope: Scope, models: tuple[str, ...]) -> None:
        need = bounds.need(x)
        if not bounds.is_long(need, limit):
            return
        if not bounds.is_long(bounds.at_best(need), limit):
            need = await closer_need(x, need, models) or need
        if bounds.is_long(need, limit):
            raise bounds.too_long(need, limit, scope)

    async def _take_rates(self, x: Exchange, quota: Quota, *, counts_tokens: bool) -> Grant:
        demand = Demand(x.id, bounds.tokens(bounds.need(x)) if counts_tokens else 0)
        room, key, most = self._room, x.caller.name, self._options.max_queue
        try:
            return await room.take(quota, demand, key, most)
        except QuotaExceeded as error:
            no = error.denial
        need = await self._closer_for_tokens(x, no)
        if need is None:
            raise self._refusal(no)
        try:
            return await room.take(quota, Demand(x.id, bounds.tokens(need)), key, most)
        except QuotaExceeded as error:
            raise self._refusal(error.denial) from None

    async def _take_attempt(
        self, x: Exchange, target: Target, asked: AttemptQuota, quota: Quota
    ) -> tuple[Grant, Priced | None]:
        id = f"{x.id}/{len(x.attempts) + 1}"
        queue = self._queues.get(target.provider.name)
        priced, tokens, money, least = self._asked(x, target, asked)
        demand = Demand(id, tokens, money, least)
        try:
            if queue is not None and queue.room.waiting:
                return await queue.take(x, target.provider, quota, demand), priced
            return await quota.take(demand), priced
        except QuotaExceeded as error:
            no = error.denial
        if no.level.rule.measure == "tokens":
            need = await self._closer_for_tokens(x, no, target)
        else:
            need = await holding.closer_for_money(x, no, target, priced)
        if need is None and queue is None:
            raise self._refusal(no)
        if need is not None:
            priced, tokens, money, least = self._asked(x, target, asked, need)
            demand = Demand(id, tokens, money, least)
        try:
            if queue is not None:
                return await queue.take(x, target.provider, quota, demand), priced
            return await quota.take(demand), priced
        except QuotaExceeded as error:
            raise self._refusal(error.denial) from None

    def _asked(
        self, x: Exchange, target: Target, asked: AttemptQuota, need: Need | None = None
    ) -> tuple[Priced | None, int, int, int]:
        """What an attempt is to take: tokens, money, and the least of that. Raises OperatorError
        for what has no price where a wall would have to know it."""
        if not (asked.counts_tokens or asked.has_money):
            return None, 0, 0, 0
        if need is None:
            need = x.need or bounds.need(x)
        tokens = bounds.tokens(need) if asked.counts_tokens else 0
        rates = None
        if asked.has_money:
            if target.model and x.operation.has_model:
                plain = not (need.pictures or need.endless)
                longest = need.input if plain else bounds.longest(need)
                rates = self._prices.most(target.provider.name, target.model, longest, need.tier)
            if rates is None and asked.hard and not bounds.is_free(x):
                raise bounds.unpriced(x, target)
        if rates is None:
            return None, tokens, 0, 0
        if need.output is not None:
            money = bounds.capped_money(need, rates, need.output)
            return (need, rates, bounds.AS_NAMED), tokens, money, money
        priced = need, rates, bounds.able(need, rates, stream=x.stream)
        return priced, tokens, *bounds.money(*priced)

    async def _closer_for_tokens(
        self, x: Exchange, no: Denial, target: Target | None = None
    ) -> Need | None:
        level = no.level
        if level.rule.measure != "tokens":
            return None
        need = bounds.need(x)
        if bounds.tokens(bounds.at_best(need)) > level.remaining:
            return None
        return await closer_need(x, need, (target.model,) if target is not None else _models(x))

    def _refusal(self, no: Denial) -> ProxyError:
        if no.level.rule.measure == "money":
            return answers.budget_exceeded(no, self._options.budget_status)
        return answers.limit_reached(no)


def _give_back(attempt: Attempt, hold: Grant) -> None:
    hold.cancel()
    if attempt.kept is not None:
        attempt.kept.clear()


def _models(x: Exchange) -> tuple[str, ...]:
    """The vendors' names of all that it may go to."""
    return tuple({target.model for target in x.route.targets}) if x.route is not None else ()
