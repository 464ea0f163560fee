"""What adversity tests expect again and again: a refusal in shape, an error event, a service that
goes on, memory that does not grow."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from proxy.base import jsonio
from tests.fakes.vendor import Vendor
from tests.integration.gateway import Gateway
from tests.integration.raw_caller import Caller

CHAT = "/v1/chat/completions"
SMALL = b'{"model":"gpt-4o-mini"}'
MB = 1024 * 1024
_POLL = 0.005
_WINDOWS = 3


async def still_serves(proxy: Gateway) -> None:
    """The next request is answered, and nothing of the failed one is held."""
    caller = await proxy.call()
    assert (await caller.ask("POST", CHAT, body=SMALL)).status == 200
    await eventually(lambda: not proxy.upstream_open())


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


async def does_not_grow(one_round: Callable[[], Awaitable[None]], *, rounds: int, by: int) -> None:
    """Over so many rounds memory grows by less than `by` bytes, in one of several windows at least:
    a leak grows in each; what an allocator does in one it does not do again."""
    grown: list[int] = []
    for _ in range(_WINDOWS):
        gc.collect()
        before = resident()
        for _ in range(rounds):
            await one_round()
        gc.collect()
        grown.append(resident() - before)
        if grown[-1] < by:
            return
    raise AssertionError(f"it grew in every window: by {grown} bytes")


async def eventually(condition: Callable[[], object], *, within: float = 2.0) -> None:
    """Return once `condition` holds; fail if it does not `within` so many seconds. For what tells
    nobody that it happened."""
    for _ in range(int(within / _POLL)):
        if condition():
            return
        await asyncio.sleep(_POLL)
    raise AssertionError(f"{condition} did not come true within {within} s")
