"""Whether this caller may do this: its operations, its models, and how secret the model is.

Operations that name no model (files, batches, fine-tuning, …) can reach any model of the vendor, so
they are for callers who may use every model that has a target there.
"""

from proxy.base.errors import AccessDenied
from proxy.core.caller import Caller
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.target import Route
from proxy.middleware.unnamed import target_of_unnamed


def access(x: Exchange) -> Reply | None:
    """Raises AccessDenied; BadRequest, NotFound for what names no model and leads nowhere."""
    caller, model, route = x.caller, x.model, x.route
    if caller.operations is not None and x.operation.name not in caller.operations:
        raise AccessDenied(
            f"this key may not use the operation `{x.operation.name}`",
            code="key_operation_access_denied",
        )
    if model is None:
        _refuse_confined(x, caller)
        return None
    if not caller.models.everything and model not in caller.models:
        raise AccessDenied(
            f"this key may not use the model `{model[:200]}`",
            code="key_model_access_denied",
            param="model",
        )
    if route is not None and (route.authorized is not None or caller.clearance < route.access):
        refuse_secret(caller, route, model)
    return None


def _refuse_confined(x: Exchange, caller: Caller) -> None:
    what = f"`{x.incoming.method} /v1{x.path[:200]}` names none"
    if not caller.models.everything:
        raise AccessDenied(
            f"this key may use some models only, and {what}; use a key with models: ['*']",
            code="key_operation_access_denied",
        )
    provider = target_of_unnamed(x).provider.name
    if not all(
        may_know(caller, route)
        for route in x.runtime.catalogue.routes()
        if any(target.provider.name == provider for target in route.targets)
    ):
        raise AccessDenied(
            f"this key is not cleared for every model of the provider `{provider}`, and {what}; "
            "use a key that is",
            code="key_operation_access_denied",
        )


def refuse_secret(caller: Caller, route: Route, model: str) -> None:
    """Raises AccessDenied for a model that is more secret than the caller is trusted with."""
    if not may_know(caller, route):
        raise AccessDenied(
            f"the model `{model[:200]}` is {route.access.name.lower()}, and this key is not "
            "cleared for it",
            code="key_model_access_denied",
            param="model",
        )


def may_know(caller: Caller, route: Route) -> bool:
    """Whether the caller is cleared for the model and, where it has a list, on it."""
    if caller.clearance < route.access:
        return False
    listed = route.authorized
    if listed is None or not listed.isdisjoint(caller.roles):
        return True
    return caller.user is not None and f"user:{caller.user}" in listed
