"""What a request's body costs to read and to change: `python -m bench.micro.body`.

Parsing, one member, another model, and the bounds that limits ask for (`need_of`), for chats of
1 kB to 2 MB: plain text in one message, text with escapes as code has them, and a long conversation
in parts, as agents send it. Processor time.
"""

from collections.abc import Callable, Mapping

from bench.micro.accounting import NoModels, Request
from bench.micro.batches import HEAD, Row, row
from bench.requests import WORDS, chat_body
from bench.table import table
from proxy.base.jsonio import dumps
from proxy.core.exchange import Exchange
from proxy.core.runtime import Runtime
from proxy.limits.need import need_of
from proxy.usage.ledger import NoLedger
from proxy.wire.asked import asked_of
from proxy.wire.body import Body
from proxy.wire.operations import CHAT

_SIZES = (1, 20, 200, 2000)
_CODE = 'def go(name: str) -> str:\n\treturn f"hello \\"{name}\\"\\n"  # größe\n'
_RUNTIME = Runtime(
    version="0123456789ab",
    middlewares=(),
    catalogue=NoModels(),
    callers=None,
    passthrough=None,
    providers={},
    ledger=NoLedger(),
    max_body=10_000_000,
)


def _code(kilobytes: int) -> bytes:
    text = _CODE * (kilobytes * 1000 // len(dumps(_CODE)))
    return dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})


def _parts(kilobytes: int) -> bytes:
    part = {"role": "user", "content": [{"type": "text", "text": WORDS * 4}]}
    many = max(kilobytes * 1000 // len(dumps(part)), 1)
    return dumps({"model": "gpt-4o", "messages": [part] * many})


BODIES: Mapping[str, Callable[[int], bytes]] = {
    "plain": lambda kilobytes: chat_body(kilobytes, "gpt-4o", stream=False),
    "code": _code,
    "parts": _parts,
}


def exchange(raw: bytes) -> Exchange:
    """One whose body has been read."""
    x = Exchange(_RUNTIME, Request("req_0"), CHAT, "/chat/completions")
    x.body, x.model = Body(raw), "gpt-4o"
    return x


def measure(rounds: int = 15) -> list[Row]:
    """A row for each step, body and size."""
    rows = [HEAD]
    for size in _SIZES:
        batch = max(2, 400 // size)
        for name, made in BODIES.items():
            make = _making(made(size))
            for words, step in _STEPS.items():
                named = f"{words}, {name}, {size} kB"
                rows.append(row(named, step, make, rounds=rounds, batch=batch))
    return rows


def _making(raw: bytes) -> Callable[[], Exchange]:
    return lambda: exchange(raw)


def _body(x: Exchange) -> Body:
    assert isinstance(x.body, Body)
    return x.body


def _read(x: Exchange) -> None:
    body = _body(x)
    _ = body.text("model")
    _ = body.flag("stream")
    _ = asked_of(body, "chat")


_STEPS: Mapping[str, Callable[[Exchange], object]] = {
    "parse": lambda x: Body(_body(x).raw),
    "model, stream, caps": _read,
    "another model": lambda x: _body(x).set("model", b'"gpt-4o-2024-11-20"'),
    "ask for usage": lambda x: _body(x).set("stream_options", b"{}"),
    "bounds": need_of,
}


if __name__ == "__main__":
    print(table(measure()))
