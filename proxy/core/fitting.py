"""What a body becomes on its way to one target: the operator's parameters, what the target takes,
and no more of a conversation than fits into its window.

Bytes that need not change pass unchanged: where the configuration says nothing of parameters, the
first target gets what the caller said. One that takes its place is not what the caller had in mind,
so what it cannot take is left out (`wire/parameters.py` says what that may be).
"""

from typing import TYPE_CHECKING, Final

from proxy.wire.asked import CAPS, MOST_TOKENS
from proxy.wire.fitting import fit as cut_to
from proxy.wire.parameters import WEIGHS, Parameters, apply
from proxy.wire.parameters_table import Taker

if TYPE_CHECKING:
    from proxy.core.exchange import Exchange
    from proxy.core.target import Target
    from proxy.wire.body import Body

_NONE: Final = Parameters()


def fit(x: "Exchange", body: "Body", target: "Target") -> None:
    """Change the body for this target. Raises BadRequest for what may not be left out."""
    route, rule = x.route, x.rule
    is_fallback = route is not None and target.route != route.model
    if is_fallback:
        x.need = None  # It was thought of the targets of the model asked for.
    elif rule is None and target.policy.parameters is None and not x.attempts:
        return  # Nothing is said of the first target of a model but what the caller said.
    _apply(x, body, target, is_other=is_fallback or bool(x.attempts))
    if rule is not None and rule.windowed and target.context_window is not None:
        _cut(x, body, target.context_window)


def _apply(x: "Exchange", body: "Body", target: "Target", *, is_other: bool) -> None:
    wanted = _wanted(x, target)
    if wanted is None and not is_other:
        return
    taker = Taker(target.model, target.capabilities)
    changed = apply(body, wanted or _NONE, x.operation.name, taker)
    if not WEIGHS.isdisjoint(changed):
        x.need = None  # It may cost more, or less, than was thought.


def _cut(x: "Exchange", body: "Body", window: int) -> None:
    """Cut a conversation that is too long for the target."""
    output = body.largest(CAPS.get(x.operation.name, ()), MOST_TOKENS) or 0
    dropped = cut_to(body, x.operation.name, window - output)
    if dropped:
        x.left_out = dropped
        x.need = None


def _wanted(x: "Exchange", target: "Target") -> Parameters | None:
    """Of the model, and of the rule on top of it."""
    of_model = target.policy.parameters
    of_rule = x.rule.parameters if x.rule is not None else None
    if of_rule is None or of_model is None:
        return of_rule or of_model
    return of_rule.under(of_model)
