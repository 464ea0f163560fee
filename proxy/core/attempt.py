"""One try at one target: what the record will say of it."""

import logging
from typing import TYPE_CHECKING, Final

from proxy.base.clock import monotonic
from proxy.base.errors import Unreachable, UpstreamError
from proxy.core.health import LEFT
from proxy.core.pauses import retry_after
from proxy.core.target import Target

if TYPE_CHECKING:
    from proxy.core.hold_book import KeptHold
    from proxy.core.quota import Grant
    from proxy.wire.record import Usage
    from proxy.wire.tail import Tail

log = logging.getLogger("llm-proxy.attempt")

_NO_MONEY: Final = b'"insufficient_quota"'
_LONGEST_REST: Final = 60.0


class Attempt:
    """Times are monotonic seconds; 0.0 means it never came to that."""

    __slots__ = (
        "began",
        "cost",
        "ended",
        "error",
        "first_byte",
        "head",
        "heard",
        "hedge",
        "hold",
        "kept",
        "key",
        "kind",
        "model",
        "open",
        "provider",
        "reason",
        "rescue",
        "said",
        "span",
        "started",
        "status",
        "target",
        "usage",
    )

    def __init__(self, target: Target, span: str | None = None, started: float = 0.0) -> None:
        """`started`: where the clock was read a moment ago."""
        self.span = span
        self.target = target
        self.provider = target.provider.name
        self.model = target.model
        self.started = started or monotonic()
        self.head = 0.0
        self.first_byte = 0.0
        self.ended = 0.0
        self.status = 0
        self.error: str | None = None  # ProxyError.kind.
        self.reason: str | None = None  # Of verdicts.py.
        self.rescue: str | None = None  # How it carried on with what another had begun.
        self.hedge = False  # Whether it was sent beside one that was slow.
        self.heard: Tail | None = None  # What it answered, where another answer took its place.
        self.open = False  # Whether its target counts it among those under way.
        self.began = 0  # What its target's health wants to hear of it at the end.
        self.key = 0  # The place of the key that was used, where there are any.
        self.hold: Grant | None = None  # What was taken for it from budgets and the provider.
        self.kept: KeptHold | None = None  # Its money, where that outlives this process.
        self.kind: object = None  # What its lines share with others: the same for all of a kind.
        self.said: bytes | None = None  # What they say of the request, once that is rendered.
        self.usage: Usage | None = None  # Known when the exchange is settled,
        self.cost: int | None = None  # in nano-USD; None: no price is known, or nothing was used.

    def sent(self) -> None:
        """It is about to leave."""
        self.open = True
        self.began = self.target.health.begin()

    def answers(self) -> None:
        """The first bytes of a good answer are here."""
        self.first_byte = now = monotonic()
        target = self.target
        target.health.first_token(now - self.started, self.began)
        if (keys := target.provider.keys) is not None:
            keys.worked(self.key)

    def exhausts(self, seconds: float) -> None:
        """The vendor says that nothing is left of some limit of its own, for so long."""
        target = self.target
        keys = target.provider.keys
        if keys is not None:
            if keys.rest(self.key, seconds):
                return
            seconds = min(seconds, keys.soonest())
        target.health.rest(min(seconds, _LONGEST_REST))

    def over(self) -> None:
        """Nothing more will be learned of its target from it. Idempotent."""
        if self.open:
            self.open = False
            left = None if self.first_byte else LEFT
            self.target.health.end(self.reason or left, self.began)

    def not_needed(self, why: str) -> None:
        """It was held for, and nothing of it has left."""
        self.error = Unreachable.kind
        self.reason = why
        self.ended = monotonic()
        if self.hold is not None:
            self.hold.cancel()
        if self.kept is not None:
            self.kept.clear()

    def failed(self, request: str, error: UpstreamError) -> None:
        """Note why it failed: the log gets hosts and causes, the caller no host names. What the
        vendor itself said goes to the caller only: it may quote the prompt."""
        self.error = error.kind
        self.reason = error.reason
        self.ended = monotonic()
        self.over()
        self._give_back(error)
        self._charge(error)
        why = error.message if error.public is not None else f"refused with status {self.status}"
        log.warning("%s: %s/%s: %s", request, self.provider, self.model, why)
        if error.public is not None:
            error.message = f"the provider `{self.provider}` {error.public}"

    def _give_back(self, error: UpstreamError) -> None:
        """What was held for nothing is there for the next try, and for others, at once: an error
        status used no tokens but was a request, what was never sent was not even that. All else
        is charged when the exchange is settled."""
        if self.hold is None:
            return
        if isinstance(error, Unreachable):
            self.hold.cancel()
        elif self.status >= 400:
            self.hold.settle(0, 0)
        else:
            return
        if self.kept is not None:
            self.kept.clear()

    def _charge(self, error: UpstreamError) -> None:
        """What a refusal says of our key, or else of the whole target."""
        reason = error.reason
        if reason not in {"auth", "rate_limit"}:
            return
        target = self.target
        asked = retry_after(error.headers)
        if (keys := target.provider.keys) is not None:
            no_money = _NO_MONEY in (error.body or b"")
            if keys.failed(self.key, "auth" if no_money else reason, asked):
                return
        if reason == "rate_limit" and asked is not None:
            target.health.rest(min(asked, keys.soonest()) if keys is not None else asked)
