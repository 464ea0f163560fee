"""Every way a request can fail, and who is at fault.

    ProxyError
    ├── CallerError                 the caller can mend it           4xx
    │   ├── BadRequest              400 invalid_request_error
    │   ├── NotAuthenticated        401 authentication_error
    │   ├── AccessDenied            403 permission_error
    │   ├── NotFound                404 invalid_request_error
    │   ├── SlowRequest             408 timeout
    │   ├── TooLarge                413 invalid_request_error
    │   ├── UnsupportedMedia        415 invalid_request_error
    │   ├── LimitReached            429 rate_limit_error
    │   └── BudgetExceeded          429 insufficient_quota (or 402, 422)
    ├── OperatorError               the configuration is at fault    503
    ├── StoreUnavailable            what must be asked cannot be     503
    ├── Unrecordable                no usage record can be written   503
    ├── InternalError               our own bug                      500
    └── UpstreamError               the vendor, or the way to it     502
        ├── Unreachable             no connection; nothing was sent
        ├── Reset                   the connection died before the head of an answer
        ├── Malformed               what came back is not HTTP, or not what it says it is
        ├── Cut                     the body ended early
        └── TimedOut                a deadline passed                504

An error carries all that its answer needs (status, `type`, `code`, `param`, headers), so no catch
site decides anything. Foreign exceptions are mapped at one boundary: `upstream/` for sockets.
Types and codes are those OpenAI's SDKs and the ecosystem's tools expect.
"""

from collections.abc import Mapping
from typing import ClassVar

HeaderPairs = tuple[tuple[bytes, bytes], ...]


class ProxyError(Exception):
    """A request that ends with an error answer."""

    status: int = 500
    type: str = "api_error"
    default_code: ClassVar[str | None] = None
    kind: ClassVar[str] = "internal"  # A word of low cardinality for records and metrics.
    body: bytes | None = None  # A ready answer in OpenAI's shape, to be sent as it is.
    attempts: tuple[Mapping[str, object], ...] = ()  # What was tried, where that was several.

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: HeaderPairs = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code if code is not None else self.default_code
        self.param = param
        self.headers = headers


class CallerError(ProxyError):
    """The caller can mend it; sending the same again cannot help."""

    status = 400
    type = "invalid_request_error"
    kind = "refused"


class BadRequest(CallerError):
    """The request itself is wrong: bad JSON, a wrong type, a missing field."""

    kind = "bad_request"


class NotAuthenticated(CallerError):
    """No key, or one that is not known, blocked or expired."""

    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"
    kind = "not_authenticated"


class AccessDenied(CallerError):
    """The key is good and may not do this."""

    status = 403
    type = "permission_error"
    default_code = "access_denied"
    kind = "access_denied"


class NotFound(CallerError):
    """No such model or path."""

    status = 404
    default_code = "not_found"
    kind = "not_found"


class SlowRequest(CallerError):
    """The request did not arrive in time."""

    status = 408
    type = "timeout"
    default_code = "request_timeout"
    kind = "slow_request"


class TooLarge(CallerError):
    """The body is larger than `max_body`."""

    status = 413
    default_code = "request_too_large"
    kind = "too_large"


class UnsupportedMedia(CallerError):
    """A content type or content encoding that this operation cannot read."""

    status = 415
    default_code = "unsupported_media_type"
    kind = "bad_request"


class LimitReached(CallerError):
    """A limit on requests, tokens or slots. The SDKs try again after `retry-after`."""

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"
    kind = "rate_limited"


class BudgetExceeded(CallerError):
    """The money is spent, or held for requests that are under way."""

    status = 429
    type = "insufficient_quota"
    default_code = "insufficient_quota"
    kind = "budget_exceeded"


class OperatorError(ProxyError):
    """The configuration cannot serve this request; the operator can mend it."""

    status = 503
    default_code = "no_healthy_target"
    kind = "operator"


class StoreUnavailable(ProxyError):
    """Keys, limits or budgets cannot be asked for, and the operator wants no request without."""

    status = 503
    default_code = "store_unavailable"
    kind = "store_unavailable"


class Unrecordable(ProxyError):
    """The spool cannot be written, and the operator wants no request that leaves no record."""

    status = 503
    default_code = "usage_unrecordable"
    kind = "unrecordable"


class InternalError(ProxyError):
    """A bug of ours. The message says nothing internal; the log has the rest."""

    default_code = "internal_error"


class UpstreamError(ProxyError):
    """The vendor failed, or the way to it.

    `sent`: whether any byte of the request may have reached the vendor. Only when it is false may
    another try be made without a thought for doing the same thing twice.
    `message` is for the log: it names hosts. `public` is what callers are told.
    """

    status = 502
    type = "upstream_error"
    default_code = "upstream_error"
    kind = "upstream"
    public: str | None = "failed"

    def __init__(
        self,
        message: str,
        *,
        sent: bool = True,
        code: str | None = None,
        headers: HeaderPairs = (),
    ) -> None:
        super().__init__(message, code=code, headers=headers)
        self.sent = sent

    @property
    def reason(self) -> str:
        """What may be tried next depends on it: core/verdicts.py."""
        return self.kind


class Unreachable(UpstreamError):
    """No connection: DNS, refused, TLS, proxy, or no free place in the pool. Nothing was sent."""

    default_code = "upstream_unreachable"
    public = "cannot be reached"
    kind = "connect"

    def __init__(self, message: str, *, headers: HeaderPairs = ()) -> None:
        super().__init__(message, sent=False, headers=headers)


class Reset(UpstreamError):
    """The connection died after the request was sent and before the head of an answer was whole."""

    default_code = "upstream_reset"
    public = "closed the connection before it answered"
    kind = "reset"


class Malformed(UpstreamError):
    """What came back is not HTTP, or not in the coding it names."""

    default_code = "upstream_malformed"
    public = "answered with something that is not an answer"
    kind = "malformed"


class Cut(UpstreamError):
    """The body ended before its declared end."""

    default_code = "upstream_cut"
    public = "broke off in the middle of its answer"
    kind = "cut"


class TimedOut(UpstreamError):
    """A deadline passed: `phase` is connect, first_token, idle or total."""

    status = 504
    type = "timeout"
    default_code = "upstream_timeout"
    kind = "timeout"

    def __init__(self, message: str, *, phase: str, sent: bool = True) -> None:
        super().__init__(message, sent=sent)
        self.phase = phase
        self.public = f"did not answer in time ({phase})"


class Refused(UpstreamError):
    """The vendor answered with an error status, or with an error event in place of an answer.
    `body` is its own answer where that has OpenAI's shape; `headers` are those that concern the
    caller (`retry-after` and the like); `reason` is one of core/verdicts.py."""

    kind = "status"
    public = None  # `message` and `body` are public already.

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str | None = None,
        code: str | None = None,
        headers: HeaderPairs = (),
        body: bytes | None = None,
        reason: str = "refused",
    ) -> None:
        super().__init__(message, code=code, headers=headers)
        self.status = status
        self.type = type or self.type
        self.body = body
        self._reason = reason

    @property
    def reason(self) -> str:
        return self._reason
