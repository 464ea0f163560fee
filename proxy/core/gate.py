"""The port through which a request meets its limits and budgets. `limits/` implements it.

admit    once per request: rate and concurrency limits of all its scopes
hold     once per attempt: the most it can cost, in every budget, before anything is sent
settle   at the end, once, synchronously: what was taken becomes what was used
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from proxy.core.attempt import Attempt
    from proxy.core.exchange import Exchange
    from proxy.core.quota import Grant, Scope, Walls
    from proxy.core.target import Target


class Gate(Protocol):
    """Limits and budgets, as the life of a request sees them."""

    def refuse_blocked(self, x: "Exchange") -> None:
        """Raises AccessDenied where the caller, or somebody it belongs to, is blocked in the store
        or was deleted; StoreUnavailable where that is not known. Takes nothing."""

    def admit_now(self, x: "Exchange") -> bool:
        """As `admit`, where nothing has to be waited for. False: nothing was taken, and `admit`
        has to be called. Raises what `admit` raises."""

    async def admit(self, x: "Exchange") -> None:
        """Take what the request needs from every limit, or nothing. Raises LimitReached,
        StoreUnavailable, BadRequest."""

    def hold_now(self, x: "Exchange", target: "Target", attempt: "Attempt") -> bool:
        """As `hold`, where nothing has to be waited for. False: nothing was held, and `hold` has
        to be called. Raises what `hold` raises."""

    async def hold(self, x: "Exchange", target: "Target", attempt: "Attempt") -> None:
        """Hold the most that this attempt can cost in every budget, and its place below the
        provider's limits. May lower the cap on output that is sent with it (`x.cap`). Raises
        BudgetExceeded, LimitReached, Unpriced, StoreUnavailable, BadRequest."""

    def settle(self, x: "Exchange") -> None:
        """Charge what each attempt cost, count the tokens used, free the slots. Never raises."""

    def forget(self) -> None:
        """Walls have changed: look all of them up anew."""


class Rulebook(Protocol):
    """Which walls stand around a scope."""

    def walls(self, scope: "Scope") -> "Walls | None":
        """Those of the scope itself, or those that each of its kind has. Raises AccessDenied where
        it is blocked, StoreUnavailable where its walls are not known."""


class Need(NamedTuple):
    """What a request may use at most, known before it is sent."""

    input: int  # Tokens, pictures aside: no text has more of them than bytes.
    pictures: int  # Looked at.
    endless: bool  # It builds on what the vendor keeps or finds: only the window bounds its input.
    output: int | None  # Tokens, of all choices; None: the caller named no number.
    predicted: int  # Tokens of output beside those: of a prediction that is not taken.
    choices: int
    images: int  # Made.
    seconds: int  # Of audio that is sent.
    searches: int  # Of the web, that the vendor may make.
    calls: int  # That the vendor may bill for.
    tier: str  # The service tier asked for.


class Rates(NamedTuple):
    """The most that a model can cost."""

    input: int  # 10⁻¹⁵ USD per token, of the dearest class, as `output`.
    output: int
    request: int  # Nano-USD each, as the next two.
    search: int
    image: int
    hour: int  # Nano-USD per hour of audio.
    picture: int  # Tokens of input that one picture can be.
    window: int | None  # Tokens of context.
    most_output: int | None  # Tokens the model can make at once, where that is known.


class EarlyHold(NamedTuple):
    """What was held for the first attempt at admission, where both can be asked for at once."""

    target: "Target"
    need: Need | None  # As it was then: should the body change, this is of no use.
    rates: Rates | None  # Where it has a price.
    grant: "Grant"


class PriceList(Protocol):
    """What an attempt may cost at most."""

    def most(self, provider: str, model: str, tokens_in: int, tier: str) -> Rates | None:
        """The dearest rates that so many input tokens can meet, or None where a price is not
        known."""


class _NoPrices:
    """For whoever needs none."""

    def most(self, _provider: str, _model: str, _tokens_in: int, _tier: str) -> Rates | None:
        """Nobody knows."""
        return None


NO_PRICES: PriceList = _NoPrices()
