"""`GET /v1/models` and `/v1/models/{id}`: what this key may use, answered here."""

from contextlib import suppress
from urllib.parse import unquote

from proxy.base.errors import AccessDenied, StoreUnavailable
from proxy.base.jsonio import dumps
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply, json_reply
from proxy.middleware.access import may_know, refuse_secret
from proxy.middleware.rules import unknown_model
from proxy.wire.operations import MODELS


def catalogue(x: Exchange) -> Reply | None:
    """Answer the operations on models. Raises AccessDenied, NotFound."""
    if x.operation is not MODELS:
        return None
    if x.runtime.gate is not None:
        # What is not known yet may be a limit, and no limit counts what is read here.
        with suppress(StoreUnavailable):
            x.runtime.gate.refuse_blocked(x)
    asked = unquote(x.path.removeprefix("/models").removeprefix("/"))
    if asked:
        return json_reply(dumps(_one(x, asked)))
    known = x.runtime.catalogue
    names = (
        name
        for name in known.names()
        if name in x.caller.models
        and (route := known.route(name)) is not None
        and route.off is None
        and may_know(x.caller, route)
    )
    return json_reply(dumps({"object": "list", "data": [_card(name) for name in names]}))


def _one(x: Exchange, asked: str) -> dict[str, object]:
    route = x.runtime.catalogue.route(asked)
    if route is None:
        raise unknown_model(x, asked)
    if asked not in x.caller.models:
        raise AccessDenied(
            f"this key may not use the model `{asked}`", code="key_model_access_denied"
        )
    refuse_secret(x.caller, route, asked)
    return _card(asked)


def _card(name: str) -> dict[str, object]:
    # When a configured name came to be is not known; the SDKs want a number.
    return {"id": name, "object": "model", "created": 0, "owned_by": "llm-proxy"}
