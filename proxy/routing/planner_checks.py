"""Why a target cannot take a request, or is not to: one question after the other, cheapest first.

What the configuration says comes first, then where the data may go, then what the request needs and
what its caller wishes, and the breaker last: whatever is still there when only the breaker is
against it may be asked as the last resort, and nothing else may. What has to be worked out (needs,
tokens, prices) is asked for only where a target or a wish makes it matter.
"""

from typing import Literal, NamedTuple

from proxy.core.target import Target
from proxy.routing.strategies.port import Ask
from proxy.routing.wishes import Wishes

Cause = Literal[
    "off", "access", "residency", "region", "provider", "capability", "window",
    "quality", "tier", "cost", "latency", "breaker", "again",
]  # fmt: skip
"""Why a target is not in a plan: a word for metrics and records."""

_P95 = 0.95
_NANO = 10**9


class Dropped(NamedTuple):
    """A target that is not in the plan. `reason` is for people and names no hosts."""

    target: Target
    reason: str
    cause: Cause


class Checks:
    """The questions of one request. `residency`: what a rule demands, whatever is wished."""

    __slots__ = ("_ask", "_needs", "_now", "_residency", "_size", "_wishes")

    def __init__(
        self,
        ask: Ask,
        now: float,
        wishes: Wishes | None,
        residency: str | None,
    ) -> None:
        self._ask = ask
        self._now = now
        self._wishes = wishes
        self._residency = residency
        self._needs: frozenset[str] | None = None
        self._size = -1

    def against(self, target: Target) -> Dropped | None:
        """What speaks against a target; None: nothing."""
        provider, wishes = target.provider, self._wishes
        if provider.off is not None:
            return Dropped(target, f"the provider is off: {provider.off}", "off")
        if self._residency is not None and provider.residency != self._residency:
            return Dropped(
                target,
                f"a rule keeps this request {self._residency}, the provider is "
                f"{provider.residency}",
                "residency",
            )
        dropped = None if wishes is None else _elsewhere(target, wishes)
        if dropped is None:
            dropped = self._unable(target)
        if dropped is None and wishes is not None:
            dropped = _unlike(target, wishes) or self._too_dear(target, wishes)
        if dropped is None:
            closed = target.health.why_not(self._now)
            if closed is not None:
                barred = target.health.barred is not None
                return Dropped(target, closed, "off" if barred else "breaker")
        return dropped

    def _unable(self, target: Target) -> Dropped | None:
        able, window = target.capabilities, target.context_window
        if able is not None:
            if self._needs is None:
                self._needs = self._ask.needs
            if not self._needs <= able:
                lacks = ", ".join(sorted(self._needs - able))
                return Dropped(target, f"it does not declare {lacks}", "capability")
        if window is None or self._ask.longest <= window:
            return None
        if self._size < 0:
            self._size = self._ask.tokens_out + self._ask.tokens_in
        if self._size <= window:
            return None
        why = f"about {self._size} tokens do not fit into its window of {window}"
        return Dropped(target, why, "window")

    def _too_dear(self, target: Target, wishes: Wishes) -> Dropped | None:
        if wishes.max_cost is None:
            return None
        most = self._ask.most(target)
        if most is None:
            return Dropped(target, "nobody knows what it may cost there", "cost")
        if most <= wishes.max_cost:
            return None
        why = f"it may cost {_usd(most)} USD there, more than {_usd(wishes.max_cost)}"
        return Dropped(target, why, "cost")


def _elsewhere(target: Target, wishes: Wishes) -> Dropped | None:
    """Where it is."""
    provider = target.provider
    if wishes.provider is not None and provider.name != wishes.provider:
        return Dropped(target, f"only the provider `{wishes.provider}` is wished", "provider")
    if wishes.residency is not None and provider.residency != wishes.residency:
        why = f"{wishes.residency} is wished, the provider is {provider.residency}"
        return Dropped(target, why, "residency")
    if wishes.region is not None and (provider.region or "").lower() != wishes.region.lower():
        has = f"the provider is in `{provider.region}`" if provider.region else "it declares none"
        return Dropped(target, f"the region `{wishes.region}` is wished, {has}", "region")
    return None


def _unlike(target: Target, wishes: Wishes) -> Dropped | None:
    """How good and how quick it is."""
    least, quality = wishes.min_quality, target.quality
    if least is not None and (quality is None or quality < least):
        has = "none is declared" if quality is None else f"its own is {quality:g}"
        return Dropped(target, f"a quality of {least:g} is wished, {has}", "quality")
    if wishes.tier is not None and target.tier != wishes.tier:
        why = f"only tier {wishes.tier} is wished, it is of tier {target.tier}"
        return Dropped(target, why, "tier")
    longest = wishes.max_latency
    if longest is None:
        return None
    usual = target.health.quantile(_P95)
    if usual is None:
        usual = target.health.latency()
    if usual is None or usual <= longest:
        return None
    why = f"its first token takes {usual:.3g} s of late, more than {longest:g} s"
    return Dropped(target, why, "latency")


def _usd(nano: int) -> str:
    return f"{nano // _NANO}.{nano % _NANO:09}".rstrip("0").rstrip(".")
