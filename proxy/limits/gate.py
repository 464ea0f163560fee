"""The walls, asked in the life of a request: admit, hold before every attempt, settle at the end.

Where the store cannot be asked the operator's policy decides: `deny`, `allow`, or `local`: the
worker's share of every limit, counted by itself.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from proxy.base.errors import ProxyError
from proxy.core.attempt import Attempt
from proxy.core.exchange import Exchange
from proxy.core.gate import PriceList, Rates
from proxy.core.quota import Demand, Grant, QuotaExceeded, QuotaUnknown
from proxy.core.reply import Reply
from proxy.core.target import Target
from proxy.limits import answers, bounds
from proxy.limits.bundles import AttemptQuota, Bundles
from proxy.limits.waiting import WaitingRoom

Policy = Literal["deny", "allow", "local"]


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What the operator decided."""

    limits: Policy = "local"
    budgets: Policy = "deny"
    budget_status: int = 429


class _Asked(NamedTuple):
    """What an attempt asks for, and the rates it was computed by."""

    demand: Demand
    rates: Rates | None


class LimitsGate:
    """The Gate of a configuration."""

    __slots__ = ("_bundles", "_local", "_options", "_prices", "_room")

    def __init__(
        self,
        bundles: Bundles,
        local: Bundles,
        prices: PriceList,
        room: WaitingRoom,
        options: GateOptions,
    ) -> None:
        """`local`: the worker's own share of everything, for when the store is away."""
        self._bundles = bundles
        self._local = local
        self._prices = prices
        self._room = room
        self._options = options

    def forget(self) -> None:
        """Walls have changed: look all of them up anew."""
        self._bundles.forget()
        self._local.forget()

    async def admit(self, x: Exchange) -> None:
        """Take what the request needs from every limit, or nothing."""
        bundle = self._bundles.of(x)
        if bundle.per_request is not None:
            bounds.refuse_long(bounds.need(x), *bundle.per_request)
        if bundle.rates is None:
            return
        demand = Demand(x.id, bounds.tokens(bounds.need(x)) if bundle.counts_tokens else 0)
        try:
            grant = await self._room.take(bundle.rates, demand, x.caller.name)
        except QuotaExceeded as no:
            raise self._refusal(no) from None
        except QuotaUnknown:
            x.grant = await self._admit_without_store(x, demand)
            return
        x.grant = grant
        x.on_reply(lambda reply: _tell_rates(reply, grant))

    async def hold(self, x: Exchange, target: Target, attempt: Attempt) -> None:
        """Hold the most that this attempt can cost, before it is sent."""
        quota = self._bundles.attempt(self._bundles.of(x), target.provider)
        if quota is None:
            return
        demand, rates = self._asked(x, target, quota)
        try:
            grant = await quota.quota.take(demand)
        except QuotaExceeded as no:
            raise self._refusal(no) from None
        except QuotaUnknown:
            attempt.hold = await self._hold_without_store(x, target, quota, demand)
            return
        attempt.hold = grant
        if rates is not None:
            if grant.money < demand.money:
                x.cap = bounds.cap(bounds.need(x), rates, grant.money)
            x.on_reply(lambda reply: _tell_budget(reply, grant))

    def settle(self, x: Exchange) -> None:
        """Charge what was used; give back what a request that was never sent had taken."""
        tokens, sent = 0, False
        for attempt in x.attempts:
            usage = attempt.usage
            used = usage.input + usage.output if usage is not None else 0
            tokens += used
            reached = attempt.error != "connect" or used > 0
            if attempt.hold is not None:
                if reached:
                    attempt.hold.settle(used, _charge(attempt, attempt.hold))
                else:
                    attempt.hold.cancel()
            sent = sent or reached
        if x.grant is not None:
            if sent or x.finished:
                x.grant.settle(tokens, 0)
            else:
                x.grant.cancel()
            self._room.freed()

    def _asked(self, x: Exchange, target: Target, quota: AttemptQuota) -> _Asked:
        id = f"{x.id}/{len(x.attempts) + 1}"
        if not (quota.has_money or quota.counts_tokens):
            return _Asked(Demand(id), None)
        need = bounds.need(x)
        tokens = bounds.tokens(need) if quota.counts_tokens else 0
        if not quota.has_money or bounds.is_free(x):
            return _Asked(Demand(id, tokens), None)
        rates = None
        if x.operation.has_model and target.model:
            rates = self._prices.most(target.provider.name, target.model, need.input, need.tier)
        if rates is None:
            if quota.hard:
                raise bounds.unpriced(x, target)
            return _Asked(Demand(id, tokens), None)
        return _Asked(Demand(id, tokens, *bounds.money(need, rates)), rates)

    async def _admit_without_store(self, x: Exchange, demand: Demand) -> Grant | None:
        _say_degraded(x, "limits", self._options.limits)
        if self._options.limits == "allow":
            return None
        rates = self._local.of(x).rates
        try:
            return await rates.take(demand) if rates is not None else None
        except QuotaExceeded as no:
            raise self._refusal(no) from None

    async def _hold_without_store(
        self, x: Exchange, target: Target, asked: AttemptQuota, demand: Demand
    ) -> Grant | None:
        policy = self._options.budgets if asked.has_money else self._options.limits
        _say_degraded(x, "budgets" if asked.has_money else "the limits of the provider", policy)
        own = self._local.attempt(self._local.of(x), target.provider)
        if policy == "allow" or own is None:
            return None
        try:
            return await own.quota.take(demand._replace(least=demand.money))
        except QuotaExceeded as no:
            raise self._refusal(no) from None

    def _refusal(self, no: QuotaExceeded) -> ProxyError:
        if no.denial.level.rule.measure == "money":
            return answers.budget_exceeded(no.denial, self._options.budget_status)
        return answers.limit_reached(no.denial)


def _charge(attempt: Attempt, hold: Grant) -> int:
    """What the attempt cost; where something was used that has no price, all that was held."""
    if attempt.cost is not None:
        return attempt.cost
    return hold.money if attempt.usage is not None else 0


def _say_degraded(x: Exchange, what: str, policy: Policy) -> None:
    if policy == "deny":
        raise answers.unavailable(what)
    line = (b"x-llm-proxy-degraded", f"{what}: {policy}".encode())
    x.on_reply(lambda reply: reply.headers.append(line))


def _tell_rates(reply: Reply, grant: Grant) -> None:
    own = answers.rate_headers(grant.levels())
    if own:
        reply.headers = [
            field for field in reply.headers if not field[0].lower().startswith(b"x-ratelimit-")
        ]
        reply.headers += own


def _tell_budget(reply: Reply, grant: Grant) -> None:
    field = answers.budget_header(grant.levels())
    if field is not None:
        reply.headers.append(field)
