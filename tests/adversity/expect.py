"""What adversity tests expect again and again: a refusal in shape, an error event, a service that
goes on, memory that does not grow."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from proxy.base import jsonio
from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway
from tests.integration.raw_caller import Caller

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
MB = 1024 * 1024
_POLL = 0.005


async def still_serves(proxy: Gateway) -> None:
    """The next request is answered, and nothing of the failed one is held."""
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=SMALL)).status == 200
    assert proxy.upstream_open() == 0


def last_event(body: bytes) -> dict[str, object]:
    """The error that a stream ended with."""
    assert b"[DONE]" not in body
    *_, last, empty = body.split(b"\n\n")
    assert empty == b""
    name, data = last.split(b"\n")
    assert name == b"event: error"
    error = jsonio.loads(data.removeprefix(b"data: "))["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


async def refused(caller: Caller, statuses: Sequence[int] = (400,)) -> str | None:
    """A refusal in OpenAI's shape, or a close; gives the refusal's code."""
    async with asyncio.timeout(8):
        try:
            answer = await caller.answer()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            assert not getattr(error, "partial", b"")
            return None
    assert answer.status in statuses, answer
    assert answer.error["type"] in {"invalid_request_error", "timeout"}
    return answer.error["code"] or ""


async def serves_on(proxy: Gateway, vendor: Vendor, calls: int = 0) -> None:
    """The vendor was not asked, and the worker answers the next caller."""
    assert vendor.calls == calls
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=SMALL)).status == 200


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * 4096


async def eventually(condition: Callable[[], object], *, within: float = 2.0) -> None:
    """Return once `condition` holds; fail if it does not `within` so many seconds. For what tells
    nobody that it happened."""
    for _ in range(int(within / _POLL)):
        if condition():
            return
        await asyncio.sleep(_POLL)
    raise AssertionError(f"{condition} did not come true within {within} s")
