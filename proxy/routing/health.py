"""What a worker knows of one target: the port `Health`, by what became of its attempts.

The usual attempt costs a few additions: no lock, no task, one look at the clock. What happened to
the breaker is told to whoever shares it with other workers; an operator's word stands above it:

    open     nothing is sent, not even as the last resort
    closed   failures do not open it
    auto     the breaker decides
"""

import logging
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from proxy.base.clock import monotonic, wall
from proxy.core.policy import Breaker as BreakerSettings
from proxy.core.verdicts import TARGET_AT_FAULT
from proxy.routing.availability import Availability
from proxy.routing.breaker import Breaker
from proxy.routing.latencies import Latencies

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("llm-proxy.health")

Mode = Literal["auto", "open", "closed"]

LONGEST_REST: Final = 3600.0
_SAME: Final = 0.25
"""Seconds by which two workers may differ on when the same breaker closes."""


class Name(NamedTuple):
    """Whose health it is. `route`: the configured model."""

    route: str
    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} of `{self.route}`"


class Fault(NamedTuple):
    """The last failure that was the target's. `at`: seconds since the epoch."""

    reason: str
    at: float


class TargetHealth:
    """Of one target. `told` is called when its breaker opened for so many seconds, or closed."""

    __slots__ = (
        "_availability",
        "_heard",
        "_latencies",
        "_like",
        "_seen",
        "_told",
        "barred",
        "breaker",
        "fault",
        "in_flight",
        "mode",
        "name",
    )

    def __init__(
        self,
        name: Name,
        settings: BreakerSettings,
        told: "Callable[[TargetHealth, float | None], None]",
        like: "Callable[[TargetHealth, str], TargetHealth]",
    ) -> None:
        self.name = name
        self.breaker = Breaker(settings)
        self.in_flight = 0
        self.barred: str | None = None
        self.mode: Mode = "auto"
        self.fault: Fault | None = None
        self._seen = 0.0  # When it last answered or failed; 0.0: it never did.
        self._latencies = Latencies()
        self._availability = Availability()
        self._heard = False  # Whether it is open because another worker said so.
        self._told = told
        self._like = like

    @property
    def checked(self) -> float:
        """When it last answered or failed, in seconds since the epoch; 0.0: it never did."""
        return wall() - (monotonic() - self._seen) if self._seen else 0.0

    def latency(self) -> float | None:
        return self._latencies.mean()

    def quantile(self, q: float) -> float | None:
        return self._latencies.quantile(q)

    def availability(self, now: float) -> float | None:
        """The share of good attempts in the last five minutes; None: there was none."""
        return self._availability.share(now)

    def why_not(self, now: float) -> str | None:
        if self.barred is not None:
            return self.barred
        return None if self.breaker.is_clear else self.breaker.why_not(now)

    def rests(self, now: float) -> bool:
        return self.barred is None and self.breaker.rests(now)

    def opens(self) -> float:
        return self.breaker.opens()

    def named(self, model: str) -> "TargetHealth":
        return self._like(self, model)

    def begin(self) -> int:
        self.in_flight += 1
        breaker = self.breaker
        return breaker.era if breaker.is_clear else breaker.begin()

    def first_token(self, seconds: float, began: int) -> None:
        self._latencies.add(seconds)
        breaker = self.breaker
        if not breaker.is_clear and breaker.answers(began):
            self._closed()

    def end(self, reason: str | None, began: int) -> None:
        if self.in_flight:
            self.in_flight -= 1
        if reason is None:
            if self.breaker.faults:
                self.breaker.worked(began)
            self._seen = now = monotonic()
            self._availability.add(now, good=True)
        elif reason in TARGET_AT_FAULT:
            now = monotonic()
            self._availability.add(now, good=False)
            self._fails(reason, began, now)
        else:
            self.breaker.gave_way(began)

    def _fails(self, reason: str, began: int, now: float) -> None:
        """It was at fault."""
        self._seen = now
        self.fault = Fault(reason, wall())
        breaker = self.breaker
        if self.mode == "closed":
            breaker.gave_way(began)
        elif breaker.failed(began, now, reason):
            log.warning("the breaker of %s opens: %s", self.name, breaker.cause)
            self._heard = False
            self._told(self, breaker.opens() - now)

    def rest(self, seconds: float) -> None:
        if seconds > 0:
            self.breaker.rest(monotonic() + min(seconds, LONGEST_REST))

    def hear_open(self, seconds: float, cause: str) -> None:
        """Another worker's breaker is open for so long."""
        until = monotonic() + seconds
        if self.mode == "closed" or until <= self.breaker.opens() + _SAME:
            return
        self.breaker.open(until, cause)
        self._heard = True

    def hear_closed(self) -> None:
        """No other worker's is open any more: there is something to try again."""
        if self._heard:
            self._heard = False
            self.breaker.try_now(monotonic())

    def probed(self, reason: str | None) -> None:
        """Its provider was asked how it is, beside the requests. None: it is well."""
        if reason is not None:
            self._fails(reason, self.breaker.era, monotonic())
            return
        self._seen = monotonic()
        if self.breaker.answers(self.breaker.era):
            self._closed()

    def govern(self, mode: Mode, barred: str | None) -> None:
        """Do as an operator says, from now on."""
        if mode != self.mode or barred != self.barred:
            log.info("%s: %s", self.name, barred or f"its breaker is set to {mode}")
        if mode == "closed" and self.mode != "closed":
            self.breaker.close()
            self._told(self, None)
        self.mode = mode
        self.barred = barred

    def _closed(self) -> None:
        log.info("the breaker of %s closes", self.name)
        self._heard = False
        self._told(self, None)
