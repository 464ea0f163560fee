"""From what a request may need to what it may take: tokens from limits, money from budgets."""

from proxy.base.errors import LimitReached, OperatorError
from proxy.core.exchange import Exchange
from proxy.core.gate import Need, Rates
from proxy.core.quota import Scope
from proxy.core.target import Target
from proxy.limits.answers import NO_RETRY
from proxy.limits.need import need_of

_MTOK = 1_000_000
_HOUR = 3600
_LEAST_OUTPUT = 256
_USUAL_OUTPUT = 4096  # Taken from token limits where the caller names no cap.
_MOST_OUTPUT = 32_768  # Held from budgets where neither caller nor price list names a cap.
_WIDEST_WINDOW = 2_000_000
_FREE = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))
_FREE_ROOTS = ("/files", "/uploads", "/vector_stores", "/containers", "/conversations")


def need(x: Exchange) -> Need:
    """What the request may need, found out once. Raises BadRequest."""
    if x.need is None:
        x.need = need_of(x)
    return x.need


def tokens(of: Need) -> int:
    """What token limits are asked for."""
    return of.input + (of.output if of.output is not None else _USUAL_OUTPUT * of.choices)


def money(of: Need, rates: Rates) -> tuple[int, int]:
    """The most that it can cost, and the least that is worth sending it with: less only where
    the caller named no cap. Nano-USD, rounded up."""
    window = rates.window or _WIDEST_WINDOW
    tokens_in = max(of.input, window) if of.endless else of.input
    fixed = _fixed(of, rates)
    if of.output is not None:
        most = _nano(tokens_in, of.output, rates) + fixed
        return most, most
    able = of.choices * (rates.most_output or min(window, _MOST_OUTPUT))
    most = _nano(tokens_in, able, rates) + fixed
    return most, min(most, _nano(tokens_in, of.choices * _LEAST_OUTPUT, rates) + fixed)


def cap(of: Need, rates: Rates, held: int) -> int:
    """How many tokens of output, for each choice, the money that is held can pay."""
    window = rates.window or _WIDEST_WINDOW
    tokens_in = max(of.input, window) if of.endless else of.input
    left = (held - _fixed(of, rates)) * _MTOK - tokens_in * rates.input
    return max(1, left // (max(1, rates.output) * of.choices))


def is_free(x: Exchange) -> bool:
    """Whether an operation without a model costs nothing: it reads, deletes or stores."""
    if x.operation.has_model:
        return False
    return x.incoming.method in _FREE or x.path.startswith(_FREE_ROOTS)


def refuse_long(of: Need, limit: int, scope: Scope) -> None:
    """Raises LimitReached for a request that may use more tokens than one request may."""
    asked = of.input + (of.output or 0)
    if asked > limit:
        raise LimitReached(
            f"this request may use {asked} tokens, more than the {limit} that {scope} allows one "
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


def _fixed(of: Need, rates: Rates) -> int:
    """What does not depend on tokens."""
    audio = -(-of.seconds * rates.hour // _HOUR)
    return rates.request + of.images * rates.image + of.searches * rates.search + audio


def _nano(tokens_in: int, tokens_out: int, rates: Rates) -> int:
    return -(-(tokens_in * rates.input + tokens_out * rates.output) // _MTOK)
