"""What stood against each target, and which of it the caller is told."""

from collections.abc import Sequence
from typing import NamedTuple

from proxy.base.errors import ProxyError, UpstreamError
from proxy.core.target import Target

_OURS_TO_MEND = "auth"


class Failure(NamedTuple):
    """One target, and what became of asking it."""

    target: Target
    error: ProxyError


def told(failures: Sequence[Failure]) -> ProxyError | None:
    """The error for the caller, with all that was tried, in order; None: nothing was.

    The last that a vendor gave, as a rule: it is what trying again may meet. That a vendor refused
    our key says nothing to a caller who could be told why another failed."""
    if not failures:
        return None
    upstream = [each.error for each in failures if isinstance(each.error, UpstreamError)]
    telling = [error for error in upstream if error.reason != _OURS_TO_MEND]
    vendors = telling or upstream
    error = vendors[-1] if vendors else failures[0].error
    if len(failures) > 1:
        error.attempts = tuple(_said(each) for each in failures)
    return error


def _said(failure: Failure) -> dict[str, object]:
    target, error = failure
    said: dict[str, object] = {"provider": target.provider.name, "model": target.model}
    if isinstance(error, UpstreamError):
        return said | {"error": error.reason, "status": error.status}
    return said | {"error": error.kind, "status": error.status, "message": error.message}
