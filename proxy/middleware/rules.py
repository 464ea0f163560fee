"""Which model is meant: from the name asked for, by the rules, to a configured model."""

from typing import Final

from proxy.base.errors import BadRequest, NotFound
from proxy.base.redact import redact
from proxy.core.exchange import Exchange
from proxy.core.reply import Reply
from proxy.core.rules import Rule
from proxy.middleware.access import may_know

AUTO: Final = "auto"
_LONGEST: Final = 256


def rules(x: Exchange) -> Reply | None:
    """Fill in `x.rule` and `x.route`. Raises NotFound for a name that is not configured, BadRequest
    for one that no header could carry.

    A body without a model goes on without a route: several of OpenAI's operations have a
    default model, which only the vendor of `passthrough` knows. All that rules say of it is whether
    it has to stay in the house."""
    if x.model is None:
        found = x.runtime.rules.decide(x) if x.runtime.rules is not None else None
        if found is not None and found.local:
            x.rule = Rule(found.name, local=True)
        return None
    if len(x.model) > _LONGEST or not x.model.isprintable():
        x.model = None  # No name: neither the record nor anybody else is to hold it.
        raise BadRequest(
            f"`model` must be printable and at most {_LONGEST} characters", param="model"
        )
    if x.runtime.rules is not None:
        x.rule = x.runtime.rules.decide(x)
    wanted = x.model if x.rule is None or x.rule.use is None else x.rule.use
    x.route = x.runtime.catalogue.route(wanted)
    if x.route is None and x.model == AUTO:
        raise NotFound(
            "no rule takes this request, and `auto` is answered by rules alone; name a model "
            "(GET /v1/models lists them)",
            code="model_not_found",
            param="model",
        )
    if x.route is None:
        x.model = redact(x.model)  # Whatever it is: a key in the wrong field, for one.
        raise unknown_model(x, x.model)
    return None


def _may_know(x: Exchange, model: str) -> bool:
    route = x.runtime.catalogue.route(model)
    return route is not None and may_know(x.caller, route)


def unknown_model(x: Exchange, asked: str, why: str = "") -> NotFound:
    """Says that there is no such model (and why), and which one may have been meant."""
    known = x.runtime.catalogue
    near = known.near(asked)
    hint = ""
    if near is not None and near in x.caller.models and _may_know(x, near):
        hint = f"; did you mean `{near}`?"
    because = f": {why}" if why else ""
    return NotFound(
        f"the model `{asked[:200]}` does not exist here{because}{hint} "
        "(GET /v1/models lists the models)",
        code="model_not_found",
        param="model",
    )
