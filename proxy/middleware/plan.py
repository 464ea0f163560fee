"""The targets to try, in order: of the model's route, or the provider of `passthrough`."""

from proxy.base.errors import OperatorError
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.target import Route, Target
from proxy.middleware.rules import unknown_model
from proxy.middleware.unnamed import target_of_unnamed


def plan(x: Exchange) -> Reply | None:
    """Fill in `x.plan`. Raises BadRequest, NotFound, OperatorError."""
    route, planner = x.route, x.runtime.planner
    if route is not None and not route.reachable:
        _refuse_slip(x, route)
    if route is not None and planner is not None:
        x.plan = planner.plan(x, route)
        return None
    targets = route.targets if route is not None else (target_of_unnamed(x),)
    usable = tuple(t for t in targets if t.provider.off is None and t.health.barred is None)
    if not usable:
        raise OperatorError(
            f"nothing can answer this request now: {_reasons(targets)}",
            headers=((b"x-should-retry", b"false"),),
        )
    x.plan = usable
    return None


def _refuse_slip(x: Exchange, route: Route) -> None:
    """Only a pattern took the name: as likely a slip of the pen as a provider that is off."""
    if x.model is not None and route.model != x.model and x.rule is None:
        why = f"no provider can be asked for it ({_reasons(route.targets)})"
        raise unknown_model(x, x.model, why)


def _reasons(targets: tuple[Target, ...]) -> str:
    return "; ".join(
        f"provider `{t.provider.name}`: {t.provider.off or t.health.barred}" for t in targets
    )
