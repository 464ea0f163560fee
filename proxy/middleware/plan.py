"""The targets to try, in order: of the model's route, or the provider of `passthrough`."""

from proxy.base.errors import BadRequest, NotFound, OperatorError, ProxyError
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.target import Target
from proxy.middleware.rules import unknown_model


async def plan(x: Exchange) -> Reply | None:
    """Fill in `x.plan`. Raises BadRequest, NotFound, OperatorError."""
    targets = x.route.targets if x.route is not None else (_without_model(x),)
    usable = tuple(target for target in targets if target.provider.off is None)
    if not usable:
        raise _nothing(x, targets)
    x.plan = usable
    return None


def _nothing(x: Exchange, targets: tuple[Target, ...]) -> ProxyError:
    reasons = "; ".join(f"provider `{t.provider.name}`: {t.provider.off}" for t in targets)
    if x.model is not None and x.route is not None and x.route.model != x.model:
        # Only a pattern took the name: as likely a slip of the pen as a provider that is off.
        return unknown_model(x, x.model, f"no provider can be asked for it ({reasons})")
    return OperatorError(
        f"nothing can answer this request now: {reasons}", headers=((b"x-should-retry", b"false"),)
    )


def _without_model(x: Exchange) -> Target:
    wanted = x.incoming.headers.get("x-llm-proxy-provider")
    if wanted is not None:
        target = x.runtime.providers.get(wanted)
        if target is None:
            raise BadRequest(
                f"there is no provider `{wanted[:200]}`",
                code="provider_not_found",
                param="x-llm-proxy-provider",
            )
        return target
    if x.runtime.passthrough is not None:
        return x.runtime.passthrough
    if x.operation.has_model:
        raise BadRequest("`model` is missing", code="missing_field", param="model")
    raise NotFound(
        f"`{x.incoming.method} /v1{x.path[:200]}` is not known here and the configuration names no "
        "`passthrough` provider",
        code="unknown_url",
    )
