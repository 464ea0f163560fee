"""What the admin API refuses with a status that the data plane has no use for."""

from proxy.base.errors import CallerError


class NoSuchMethod(CallerError):
    """The path is known, and not with this method."""

    status = 405
    default_code = "method_not_allowed"


class Conflict(CallerError):
    """It does not go together with what is there."""

    status = 409
    default_code = "conflict"


class Outdated(CallerError):
    """Somebody else has changed it since it was read."""

    status = 412
    default_code = "version_differs"


class NotTheSame(CallerError):
    """An idempotency key came again, with another request."""

    status = 422
    default_code = "idempotency_key_reused"


class VersionMissing(CallerError):
    """A change that does not say of which version."""

    status = 428
    default_code = "precondition_required"
