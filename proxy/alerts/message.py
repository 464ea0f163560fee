"""What an alert says, and its signature (https://www.standardwebhooks.com).

The body is made once and kept, so that every attempt sends the same bytes under the same id. The
signature is made for each attempt: its time is signed too, and receivers refuse an old one.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from decimal import Decimal

from proxy.alerts.thresholds import Crossing
from proxy.base.jsonio import dumps
from proxy.base.periods import Span

_NANO = -9


def body(crossing: Crossing, at: float) -> bytes:
    """The alert as JSON. Money is text, so that nobody's numbers round it."""
    budget = crossing.budget
    return dumps(
        {
            "type": "budget.threshold",
            "timestamp": _moment(at),
            "data": {
                "scope": {"kind": crossing.scope.kind, "name": crossing.scope.name},
                "budget": {
                    "amount": dollars(budget.amount),
                    "period": budget.period,
                    "zone": budget.zone,
                    "hard": budget.hard,
                },
                "percent": crossing.percent,
                "spent": dollars(crossing.spent),
                "window": _window(crossing.window),
            },
        }
    )


def dollars(nano: int) -> str:
    """Nano-USD as USD, to the last digit."""
    return f"{Decimal(nano).scaleb(_NANO).normalize():f}"


def headers(key: bytes, id: str, at: int, content: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The fields that a receiver verifies the body by. `at`: seconds since the epoch."""
    signed = b"%b.%d.%b" % (id.encode("ascii"), at, content)
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    return (
        (b"webhook-id", id.encode("ascii")),
        (b"webhook-timestamp", b"%d" % at),
        (b"webhook-signature", b"v1," + signature),
    )


def _window(window: Span) -> dict[str, str | None]:
    if window.end is None:
        return {"start": None, "end": None}
    return {"start": _moment(window.start), "end": _moment(window.end)}


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
