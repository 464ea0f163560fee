"""The access log beside the loop: lines in order, and a reader that sleeps holds nothing up."""

import asyncio
import io
import os
from contextlib import suppress
from dataclasses import dataclass

from proxy.base import jsonio
from proxy.base.tasks import Tasks
from proxy.telemetry.access_log import AccessLog
from proxy.wire.record import UsageRecord


def record(number: int) -> UsageRecord:
    return UsageRecord(
        id=f"req_{number}", at=0, worker="w", config="c", operation="chat", outcome="completed",
        status=200, done=1,
    )  # fmt: skip


async def test_lines_are_written_in_order() -> None:
    stream = io.BytesIO()
    log = AccessLog(stream)
    for number in range(1200):
        log.tell(record(number))
    await log.flush()
    written = [jsonio.loads(line)["request"] for line in stream.getvalue().splitlines()]
    assert written == [f"req_{number}" for number in range(1200)]


@dataclass
class Pipe:
    """One that nobody reads until `drain`."""

    reading: int
    writing: int

    async def drain(self) -> None:
        os.close(self.reading)  # A writer that waits gets EPIPE and goes on.


async def test_a_reader_that_sleeps_holds_nothing_up_and_old_lines_are_dropped() -> None:
    pipe = Pipe(*os.pipe())
    with os.fdopen(pipe.writing, "wb", closefd=True) as stream:
        log = AccessLog(stream)
        tasks = Tasks()
        _ = tasks.spawn(log.run(), name="test: access log")
        for number in range(50_000):
            log.tell(record(number))
            if number % 5000 == 0:
                await asyncio.sleep(0)  # The loop turns although the pipe is full.
        assert log.dropped >= 50_000 - 20_000 - 1000
        await pipe.drain()
        await tasks.cancel()
        with suppress(BrokenPipeError):
            stream.flush()


async def test_a_closed_stream_is_counted_and_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "wb", buffering=0)
    log = AccessLog(stream)
    log.tell(record(1))
    await log.flush()
    assert log.dropped == 1
    stream.close()
