"""Two vendors and one request: what the caller saw, within which time, what was recorded, what it
cost.

`one` is the target of the model `m`; `two` that of its fallback `n`, four times as dear. The key
has a limit of concurrency, so that a grant that nobody gave back is seen.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.base import jsonio
from proxy.base.clock import monotonic
from proxy.wire.record import UsageRecord
from tests.adversity.conftest import IMPATIENT
from tests.fakes import openai_wire as wire
from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway, gateway, provider, target
from tests.integration.purse import IN, KEY, OUT, PRICE, taken
from tests.integration.raw_caller import Answer
from tests.integration.test_counted_tokens import records

CHAT = "/v1/chat/completions"
TEXT = "".join(wire.WORDS)
DEARER = 4
ALL = 19 * IN + 10 * OUT
"""What the usual answer costs at `one`."""


def asked(*, stream: bool = False, **more: Any) -> bytes:
    said = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}], **more}
    return jsonio.dumps({**said, "stream": True} if stream else said)


def configured(
    one: str, two: str | None, folder: Path, model: Mapping[str, Any], second: Mapping[str, Any]
) -> dict[str, Any]:
    """`model`: more of `m`, as `fallback`, `retry`; `second`: more of the target of `n`. Without
    `two` there is no fallback."""
    dear = {name: DEARER * usd for name, usd in PRICE.items()}
    models = {"m": {"targets": [target("one", "first")], "price": PRICE, **model}}
    providers = {"one": provider(one, timeouts=IMPATIENT)}
    if two is not None:
        providers["two"] = provider(two, timeouts=IMPATIENT)
        models["n"] = {"targets": [{**target("two", "second"), "price": dear, **second}]}
        models["m"]["fallback"] = {"models": ["n"], **model.get("fallback", {})}
    return {
        "listen": "127.0.0.1:0",
        "data_dir": str(folder),
        "store_failure": {"limits": "local", "budgets": "local"},
        "telemetry": {"log": {"level": "error"}},
        "providers": providers,
        "models": models,
        "keys": [{"name": "purse", "key": KEY, "limits": {"concurrency": 8}}],
    }


@dataclass(slots=True)
class Seen:
    """What became of one request. `text`: what it said; `error`: what it was told instead."""

    answer: Answer
    seconds: float
    text: str
    error: dict[str, Any] | None
    record: UsageRecord

    @property
    def attempts(self) -> list[tuple[str, str | None]]:
        """Who was asked, and why not."""
        return [(each.provider, each.reason or each.error) for each in self.record.attempts]

    @property
    def costs(self) -> list[int]:
        return [each.cost.total if each.cost is not None else 0 for each in self.record.attempts]


@asynccontextmanager
async def two_vendors() -> AsyncIterator[tuple[Vendor, Vendor]]:
    async with Vendor() as one, Vendor() as two:
        yield one, two


async def seen(
    folder: Path, configuration: Mapping[str, Any], body: bytes, *, times: int = 1
) -> list[Seen]:
    """Ask so many times, one after the other; afterwards nothing must be held."""
    async with gateway(configuration) as proxy:
        found = [await _ask(proxy, body) for _ in range(times)]
        assert await taken(proxy, "concurrency") == [0]
    kept = await records(folder)
    assert len(kept) == times, kept
    return [
        Seen(answer, seconds, _text(answer), _error(answer), record)
        for (answer, seconds), record in zip(found, kept, strict=True)
    ]


async def _ask(proxy: Gateway, body: bytes) -> tuple[Answer, float]:
    caller = await proxy.call()
    began = monotonic()
    answer = await caller.ask("POST", CHAT, body=body)
    return answer, monotonic() - began


def _events(answer: Answer) -> list[bytes]:
    return [event for event in answer.body.split(b"\n\n") if event]


def _is_stream(answer: Answer) -> bool:
    return (answer.header("content-type") or "").startswith("text/event-stream")


def _text(answer: Answer) -> str:
    """All words, of a stream or not."""
    if answer.status != 200:
        return ""
    if not _is_stream(answer):
        return str(answer.json()["choices"][0]["message"]["content"])
    said = []
    for event in _events(answer):
        if event.startswith(b"data: {") and event.endswith(b"}"):
            try:
                chunk = jsonio.loads(event.removeprefix(b"data: "))
            except jsonio.JSONError:
                continue
            said += [each["delta"].get("content") or "" for each in chunk.get("choices", ())]
    return "".join(said)


def _error(answer: Answer) -> dict[str, Any] | None:
    """The error of the status, or at the end of the stream; a stream without has `[DONE]`."""
    if answer.status != 200:
        return answer.error
    if not _is_stream(answer):
        return None
    last = _events(answer)[-1]
    if last == b"data: [DONE]":
        return None
    assert b"[DONE]" not in answer.body
    assert last.startswith((b"event: error\ndata: ", b'data: {"error"')), last
    assert answer.body.count(b'{"error"') == 1  # Ours, or the vendor's own.
    return dict(jsonio.loads(last.partition(b"data: ")[2])["error"])
