"""From what a request may need to what it may take: tokens from limits, money from budgets.

A hold is a wall only if nothing can cost more than it. Where the caller names no cap on output the
most that the model can make is held. Where nobody knows that either, its window bounds it; a stream
then begins with less and grows (meter.py), and what cannot be bounded at all is sent with a cap.
"""

import re
from typing import Final, NamedTuple

from proxy.base.errors import LimitReached, OperatorError
from proxy.core.exchange import Exchange
from proxy.core.gate import Need, Rates
from proxy.core.quota import Scope
from proxy.core.target import Target
from proxy.limits.answers import NO_RETRY
from proxy.limits.need import need_of

_MTOK: Final = 1_000_000
_HOUR: Final = 3600
_LEAST_OUTPUT: Final = 256
STEP: Final = 4096
"""Tokens of output for each choice: taken from token limits where the caller names no cap, held for
a stream at a time where nobody knows how long it can be."""

# Tokens of a picture, for limits: more than nearly every model takes for one.
_PICTURE: Final = 16_384
_LARGEST_PICTURE: Final = 65_536  # As above, for every model.
_MORE_THAN_ANY: Final = 10**9
_WIDEST_WINDOW: Final = 2_000_000
_FEWEST_PER_BYTE: Final = 8  # Text with fewer tokens is no text.
_FREE: Final = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))
_FREE_PATH: Final = re.compile(  # Plain names alone: a vendor might resolve what we do not.
    r"/(?:files|uploads|vector_stores|conversations)(?:/[A-Za-z0-9_.-]+)*/?"
)


class Able(NamedTuple):
    """How many tokens one choice can be, and whether that is certain without a cap."""

    tokens: int
    certain: bool


AS_NAMED: Final = Able(0, True)
"""Where the caller named a cap nobody asks how many there can be without one."""


def need(x: Exchange) -> Need:
    """What the request may need, found out once. Raises BadRequest."""
    if x.need is None:
        x.need = need_of(x)
    return x.need


def exactly(of: Need, tokens_in: int) -> Need:
    """The same with its input counted, pictures and all; never more than the bound."""
    return of._replace(input=min(of.input + of.pictures * _PICTURE, tokens_in), pictures=0)


def at_best(of: Need) -> Need:
    """The same with as few tokens of input as its text can have."""
    return of._replace(input=of.input // _FEWEST_PER_BYTE, pictures=0)


def tokens(of: Need) -> int:
    """What token limits are asked for."""
    tokens_in, pictures, _, output, predicted, choices, _, _, _, _, _ = of
    if output is None:
        output = STEP * choices
    return tokens_in + pictures * _PICTURE + output + predicted


def able(of: Need, rates: Rates, *, stream: bool) -> Able:
    """What can be made of a request without a cap."""
    window = rates.window
    if rates.most_output is not None:
        return Able(rates.most_output, True)
    if window is not None and (not stream or window <= STEP):
        return Able(window, True)
    return Able(STEP, rates.output == 0)


def money(of: Need, rates: Rates, most: Able) -> tuple[int, int]:
    """The most that it can cost, and the least that is worth sending it with: less only where
    the caller named no cap. Nano-USD, rounded up."""
    if of.output is not None:
        all_of_it = capped_money(of, rates, of.output)
        return all_of_it, all_of_it
    tokens_in = _tokens_in(of, rates)
    fixed = _fixed(of, rates)
    whole = _nano(tokens_in, of.choices * most.tokens + of.predicted, rates) + fixed
    least = _nano(tokens_in, of.choices * _LEAST_OUTPUT + of.predicted, rates) + fixed
    return whole, min(whole, least)


def capped_money(of: Need, rates: Rates, output: int) -> int:
    """The most that it can cost with so many tokens of output, those of a prediction aside."""
    tokens_in, pictures, endless, _, predicted, _, images, seconds, searches, calls, _ = of
    tokens_out = output + predicted
    if pictures or endless or images or seconds or searches:
        return _nano(_tokens_in(of, rates), tokens_out, rates) + _fixed(of, rates)
    rate_in, rate_out, request, _, _, _, _, _, _ = rates
    return -(-(tokens_in * rate_in + tokens_out * rate_out) // _MTOK) + calls * request


def affordable(of: Need, rates: Rates, held: int) -> int:
    """How many tokens of output, of all choices together, the money that is held can pay."""
    left = (held - _fixed(of, rates)) * _MTOK - _tokens_in(of, rates) * rates.input
    return max(0, left // max(1, rates.output) - of.predicted)


def cap(of: Need, rates: Rates, held: int, most: Able) -> int:
    """How many tokens of output for each choice are to be allowed."""
    paid = affordable(of, rates, held) // of.choices
    if rates.most_output is None:  # A cap above what the model can do would be refused.
        return max(1, min(paid, STEP))
    return max(1, min(paid, most.tokens))


def output_cost(count: int, rates: Rates) -> int:
    """What so many tokens of output cost at most."""
    return _nano(0, count, rates)


def is_free(x: Exchange) -> bool:
    """Whether an operation without a model costs nothing: it reads, deletes or stores."""
    if x.operation.has_model:
        return False
    if x.incoming.method in _FREE:
        return True
    return ".." not in x.path and _FREE_PATH.fullmatch(x.path) is not None


def is_long(of: Need, limit: int) -> bool:
    """Whether a request may use more tokens than one request may."""
    return _asked(of) > limit


def too_long(of: Need, limit: int, scope: Scope) -> LimitReached:
    """The refusal of a request that may use more tokens than one request may."""
    return LimitReached(
        f"this request may use {_asked(of)} tokens, more than the {limit} that {scope} allows one "
        "request (`tokens_per_request`); shorten it or lower its cap on output",
        headers=NO_RETRY,
    )


def unpriced(x: Exchange, target: Target) -> OperatorError:
    """The refusal of what a budget cannot be asked for."""
    if not x.operation.has_model or not target.model:
        return OperatorError(
            f"`{x.incoming.method} /v1{x.path[:200]}` names no model, so nobody knows what it may "
            "cost, and a hard budget applies to this key; use a key without one",
            code="model_not_priced",
            headers=NO_RETRY,
        )
    return OperatorError(
        f"no price is known for the model `{target.model}` of provider `{target.provider.name}`, "
        "and a hard budget applies; the operator can set `price` for it",
        code="model_not_priced",
        headers=NO_RETRY,
    )


def longest(of: Need) -> int:
    """Tokens of input, by which a price that grows with them is chosen: never too few."""
    return _MORE_THAN_ANY if of.endless else of.input + of.pictures * _LARGEST_PICTURE


def _asked(of: Need) -> int:
    return of.input + of.pictures * _PICTURE + (of.output or 0) + of.predicted


def _tokens_in(of: Need, rates: Rates) -> int:
    given = of.input + of.pictures * rates.picture
    return max(given, rates.window or _WIDEST_WINDOW) if of.endless else given


def _fixed(of: Need, rates: Rates) -> int:
    """What does not depend on tokens."""
    audio = -(-of.seconds * rates.hour // _HOUR)
    return of.calls * rates.request + of.images * rates.image + of.searches * rates.search + audio


def _nano(tokens_in: int, tokens_out: int, rates: Rates) -> int:
    return -(-(tokens_in * rates.input + tokens_out * rates.output) // _MTOK)
