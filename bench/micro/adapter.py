"""What an attempt's pure parts cost: `python -m bench.micro.adapter`.

The vendor's request and its head, the head of the answer and what the caller is told of it, the
rendering of our answer, and what routing may look up: facts of the text, the plan. Without sockets;
processor time.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.answers import CHAT_BODY
from bench.micro.accounting import Request
from bench.micro.batches import HEAD, Row, row
from bench.micro.body import BODIES
from bench.micro.pipeline import runtime
from bench.table import table
from proxy.base.ids import RequestIds
from proxy.base.secret import fingerprint
from proxy.base.turn import Turn
from proxy.core.exchange import Exchange
from proxy.core.runtime import Runtime
from proxy.core.target import Route
from proxy.core.tracing import NOT_TRACED
from proxy.core.writer import Writer
from proxy.routing.facts import Facts
from proxy.server.out import HttpOut
from proxy.upstream.origin import Origin
from proxy.upstream.requests import HeadWriter
from proxy.wire.body import Body
from proxy.wire.headers import VendorHead
from proxy.wire.operations import CHAT

if TYPE_CHECKING:
    from proxy.server.arrival import Arrival
    from proxy.server.connection import Connection

_VENDORS_HEAD = (
    (b"Content-Type", b"application/json"),
    (b"Content-Length", b"%d" % len(CHAT_BODY)),
    (b"x-request-id", b"req_bench"),
    (b"x-ratelimit-remaining-requests", b"9999"),
    (b"openai-processing-ms", b"312"),
)


class _Line:
    """A caller's connection that takes all."""

    writer = Writer(Turn())  # To nobody.
    writable = True
    source = None


class _Arrived:
    """What an answer's framing looks at."""

    method = "POST"
    keep_alive = http_1_1 = True


def _exchange(made: Runtime, ids: RequestIds, raw: bytes) -> Exchange:
    x = Exchange(made, Request(ids.new()), CHAT, "/chat/completions")
    x.body, x.model = Body(raw), "gpt-4o"
    x.route = _route(made)
    x.plan = x.route.targets
    return x


def _route(made: Runtime) -> Route:
    route = made.catalogue.route("gpt-4o")
    assert route is not None
    return route


def measure(folder: Path, rounds: int = 20) -> list[Row]:
    """A row for each part."""
    made, spool = runtime(folder)
    ids, heads = RequestIds(), HeadWriter(Origin("http", "127.0.0.1", 9), None)
    target = _route(made).targets[0]
    adapter = target.provider.adapter(CHAT)
    raw = BODIES["plain"](1)
    rows = [HEAD]

    def make() -> Exchange:
        return _exchange(made, ids, raw)

    def add(words: str, step: Callable[[Exchange], object]) -> None:
        rows.append(row(words, step, make, rounds=rounds))

    outgoing = adapter.request(make(), target)
    head = VendorHead(_VENDORS_HEAD)
    told = [*head.kept, *target.lines]
    add("the exchange itself", lambda _: Exchange(made, Request("req"), CHAT, "/chat/completions"))
    add("a request id", lambda _: ids.new())
    add("fingerprint of a key", lambda _: fingerprint("sk-bench-0123456789abcdef0123456789"))
    add("vendor's request", lambda x: adapter.request(x, target))
    add("its head, rendered", lambda _: heads.head(outgoing))
    add("head of the answer", lambda _: VendorHead(_VENDORS_HEAD))
    add("our answer, rendered", lambda _: _out().whole(200, told, CHAT_BODY))
    add("trace context, none given", lambda _: NOT_TRACED.fields(None))
    if (planner := made.planner) is not None:
        add("plan", lambda x: planner.plan(x, _route(made)))
    for size in (1, 20, 200):
        for name, body in BODIES.items():
            words, step = f"facts: what was said, {name}, {size} kB", _reading(Body(body(size)))
            rows.append(row(words, step, make, rounds=5, batch=10))
    spool.close()
    return rows


def _out() -> HttpOut:
    return HttpOut(cast("Connection", _Line()), cast("Arrival", _Arrived()), b"x-request-id: r\r\n")


def _reading(body: Body) -> Callable[[Exchange], object]:
    return lambda x: Facts("gpt-4o", CHAT, body, x.caller, x.labels).said


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(table(measure(Path(place))))
