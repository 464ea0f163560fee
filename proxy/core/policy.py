"""How hard a configured model tries: retries, fallback, hedging, rescue, breaker.

Plain values, built once per configuration. What an error leads to stands in verdicts.py; what is
done with it, in dispatch.py.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from proxy.core.pauses import Allowance

if TYPE_CHECKING:
    from proxy.wire.parameters import Parameters

Rescue = Literal["prefill", "restart"]
Trigger = Literal["timeout", "rate_limit", "error", "context_length", "content_filter"]
"""What may send a request to a fallback model."""

USUAL_TRIGGERS: Final[frozenset[Trigger]] = frozenset(
    ("timeout", "rate_limit", "error", "context_length")
)


@dataclass(frozen=True, slots=True)
class Retry:
    """Of the same target: `attempts` tries in all, pauses of full jitter between them, in seconds
    (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015)."""

    attempts: int = 1
    initial: float = 1.0
    longest: float = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after `failures` in a row, for `recovery` seconds, then lets `probes` through.
    `bypass`: rather ask a target that is known to be down than nobody."""

    failures: int = 5
    recovery: float = 15.0
    probes: int = 1
    bypass: bool = False


@dataclass(frozen=True, slots=True)
class Hedge:
    """A second try when the first token is later than `after` seconds, or than the `quantile` of
    those before; for no more requests than `allowance` gives (Dean and Barroso, "The Tail at
    Scale", CACM 2013)."""

    after: float | None = None
    quantile: float | None = None
    allowance: Allowance = field(default_factory=lambda: Allowance(0.05))

    @property
    def share(self) -> float:
        """Of the requests."""
        return self.allowance.share


@dataclass(frozen=True, slots=True)
class Fallback:
    """Where a request goes after all targets of its model, and how long all of it may take: no try
    begins after `total` seconds or after `max_attempts` tries."""

    models: tuple[str, ...] = ()
    on: frozenset[Trigger] = USUAL_TRIGGERS
    max_attempts: int = 6
    total: float = 120.0


@dataclass(frozen=True, slots=True)
class Policy:
    """Of one configured model."""

    retry: Retry = field(default_factory=Retry)
    fallback: Fallback = field(default_factory=Fallback)
    breaker: Breaker = field(default_factory=Breaker)
    hedge: Hedge | None = None
    rescue: tuple[Rescue, ...] = ()
    parameters: "Parameters | None" = None


USUAL: Final = Policy()
