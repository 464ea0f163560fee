"""Whether this caller may do this: models by the key's list, the rest of the API only with `*`.

Operations that name no model (files, batches, fine-tuning, …) can reach any model of the vendor, so
a key that is confined to some models may not use them.
"""

from proxy.base.errors import AccessDenied
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply


async def access(x: Exchange) -> Reply | None:
    """Raises AccessDenied."""
    allowed = x.caller.models
    if x.model is None:
        if not allowed.everything:
            raise AccessDenied(
                f"this key may use some models only, and `{x.incoming.method} /v1{x.path[:200]}` "
                "names none; use a key with models: ['*']",
                code="key_operation_access_denied",
            )
    elif x.model not in allowed:
        raise AccessDenied(
            f"this key may not use the model `{x.model[:200]}`",
            code="key_model_access_denied",
            param="model",
        )
    return None
