"""Which steps of core/order.py are built, and by what."""

from proxy.core.order import ONCE_PER_REQUEST
from proxy.core.steps import Step
from proxy.middleware.access import access
from proxy.middleware.account import account
from proxy.middleware.auth import auth
from proxy.middleware.body import body
from proxy.middleware.catalogue import catalogue
from proxy.middleware.content import content
from proxy.middleware.labels import labels
from proxy.middleware.limits import limits
from proxy.middleware.plan import plan
from proxy.middleware.rules import rules
from proxy.middleware.trace import trace

BUILT: dict[str, Step] = {
    "trace": trace,
    "account": account,
    "auth": auth,
    "catalogue": catalogue,
    "body": body,
    "labels": labels,
    "rules": rules,
    "access": access,
    "content": content,
    "limits": limits,
    "plan": plan,
}


BUILT_PER_ATTEMPT = {"breaker", "vendor limits", "hold", "send"}
"""Vendor limits and hold are one question to the store that counts: `Gate.hold`."""


def middlewares(*, keep_content: bool = False) -> tuple[Step, ...]:
    """The steps that are built, in the order of core/order.py. `content` is one of them only where
    it is to keep something: it then costs nothing elsewhere."""
    steps = (name for name in ONCE_PER_REQUEST if keep_content or name != "content")
    return tuple(BUILT[name] for name in steps if name in BUILT)
