"""Usage records for the tests of telemetry: one whole example, and how to vary it."""

from typing import Any

import msgspec

from proxy.telemetry.options import Known, Vendor
from proxy.wire.record import AttemptRecord, Content, Cost, Usage, UsageRecord

KNOWN = Known(
    models=frozenset(("fast", "openai/*")),
    providers=frozenset(("main", "backup")),
    teams=frozenset(("blue", "green")),
    keys=frozenset(("alice",)),
    upstream_models=frozenset(("gpt-4o", "claude-sonnet-4-5")),
)
VENDORS = {
    "main": Vendor("azure", "eu.example.com", 443),
    "backup": Vendor("anthropic"),
}

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SERVER = "00f067aa0ba902b7"
CALLER = "b7ad6b7169203331"
FIRST = "1111111111111111"
SECOND = "2222222222222222"

USAGE = Usage(input=19, output=41, cached_read=3, cache_write=2, reasoning=5)
COST = Cost(total=1_234_567, input=200_000, cached_read=34_567, output=1_000_000)

FAILED = AttemptRecord(
    provider="main",
    model="gpt-4o",
    started=1_000,
    ended=200_000,
    head=190_000,
    status=503,
    error="status",
    span=FIRST,
    reason="overloaded",
)
GOOD = AttemptRecord(
    provider="backup",
    model="claude-sonnet-4-5",
    started=201_000,
    ended=1_500_000,
    head=400_000,
    first_byte=500_000,
    status=200,
    usage=USAGE,
    usage_source="upstream",
    cost=COST,
    span=SECOND,
)
CONTENT = Content(
    input='{"model":"fast","messages":[{"role":"user","content":"Weather in Paris?"}]}',
    output='{"choices":[{"message":{"role":"assistant","content":"Rain."},"finish_reason":"stop"}]}',
)
EXAMPLE = UsageRecord(
    id="req_1",
    at=1_760_000_000_000_000,
    worker="w1",
    config="c7",
    operation="chat",
    outcome="completed",
    status=200,
    done=1_500_000,
    key="alice",
    team="blue",
    user="a@example.org",
    session="s-1",
    tags=("x", "y"),
    model="fast",
    route="fast",
    served_provider="backup",
    served_model="claude-sonnet-4-5",
    stream=True,
    bytes_in=75,
    bytes_out=900,
    first_token=500_000,
    overhead=300,
    usage=USAGE,
    usage_source="upstream",
    cost=1_234_567,
    attempts=(FAILED, GOOD),
    trace=TRACE,
    span=SERVER,
    parent=CALLER,
)


def record(**changes: Any) -> UsageRecord:
    """The example with other fields."""
    return msgspec.structs.replace(EXAMPLE, **changes)


def attempt(**changes: Any) -> AttemptRecord:
    """The good attempt with other fields."""
    return msgspec.structs.replace(GOOD, **changes)


def refused(**changes: Any) -> UsageRecord:
    """A request that got no further than the door."""
    nothing = {"usage": None, "usage_source": None, "cost": 0, "first_token": None}
    nowhere = {"served_provider": None, "served_model": None, "attempts": (), "stream": False}
    said = {"outcome": "refused", "status": 401, "error": "not_authenticated"}
    fields = {**nothing, **nowhere, **said, "code": "invalid_api_key", "overhead": None}
    return record(**{**fields, **changes})
