"""Where a request without a model goes: to the provider that it names, or that of `passthrough`.

Asked twice, by `access` (what could be reached there?) and by `plan`, so it has one answer.
"""

from proxy.base.errors import BadRequest, NotFound
from proxy.core.exchange import Exchange
from proxy.core.target import Target
from proxy.wire.body import Body


def target_of_unnamed(x: Exchange) -> Target:
    """Raises BadRequest, NotFound."""
    target = _named(x)
    provider = target.provider
    ruled = "local" if x.rule is not None and x.rule.local else None
    for wanted in (ruled, _residency(x)):
        if wanted is not None and wanted != provider.residency:
            raise BadRequest(
                f"this request is for {str(wanted)[:20]} providers only, and `{provider.name}` is "
                f"{provider.residency}",
                code="no_target_meets_request",
            )
    return target


def _residency(x: Exchange) -> object:
    """What is wished: the header comes before the body."""
    wanted: object = x.incoming.headers.get("x-llm-proxy-residency")
    if wanted is None and isinstance(x.body, Body) and "metadata" in x.body:
        wanted = (x.body.object("metadata") or {}).get("residency")
    return wanted


def _named(x: Exchange) -> Target:
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
