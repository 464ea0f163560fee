"""A collector that is away, slow or wrong costs bounded memory and nothing else."""

import asyncio
import logging

import pytest

from proxy.telemetry.delivery import Later, Signal, Taken, Verdict
from proxy.telemetry.exporter import Exporter
from proxy.telemetry.span_queue import SpanQueue
from proxy.telemetry.telemetry import Telemetry
from proxy.wire.record import Content
from tests.fakes.script import Reply
from tests.fakes.tally import Tally
from tests.fakes.vendor import STALL
from tests.unit.telemetry.collector import TAKEN, Collector, Running, attributes
from tests.unit.telemetry.exporting import exporting, numbered
from tests.unit.telemetry.pages import total, value
from tests.unit.telemetry.records import EXAMPLE, TRACE, attempt, record


def spans(telemetry: Telemetry, result: str) -> float:
    return value(telemetry.metrics, "otlp_spans_total", result=result)


async def test_a_stalled_collector_costs_bounded_memory_and_drops_are_counted() -> None:
    async with Collector() as collector:
        collector.say(before_head=[STALL])
        telemetry = exporting(collector.origin, pace={"waiting_records": 10, "last_words": 0.05})
        async with Running(telemetry):
            telemetry.observe(numbered(0))
            await collector.arrived.wait()
            for number in range(1, 101):
                telemetry.observe(numbered(number))
            assert value(telemetry.metrics, "otlp_queue_records") == 10
            assert spans(telemetry, "dropped") == 3 * 90
    assert total(telemetry.metrics, "requests_total") == 101
    assert value(telemetry.metrics, "otlp_queue_records") == 0
    assert total(telemetry.metrics, "otlp_spans_total") == 3 * 101


async def test_kept_prompts_are_bounded_by_bytes() -> None:
    async with Collector() as collector:
        telemetry = exporting(collector.origin, pace={"waiting_bytes": 100_000})
        said = Content(input="x" * 30_000, output="y" * 10_000)
        for _ in range(10):
            telemetry.observe(record(content=said))
        assert 40_000 < value(telemetry.metrics, "otlp_queue_bytes") <= 100_000
        assert spans(telemetry, "dropped") == 3 * 8
        await telemetry.close()


async def test_a_batch_of_kept_prompts_stays_small() -> None:
    queue = SpanQueue(records=100, bytes=100_000_000, batch=512)
    for _ in range(10):
        queue.put(record(content=Content(input="x" * 300_000)))
    sizes = []
    while len(queue):
        sizes.append(len(queue.take()))
    assert sizes == [3, 3, 3, 1]
    assert queue.bytes == 0


async def test_after_an_outage_what_waited_arrives(caplog: pytest.LogCaptureFixture) -> None:
    async with Collector() as collector:
        for _ in range(4):
            collector.say(status=503)
        telemetry = exporting(collector.origin)
        with caplog.at_level(logging.WARNING):
            async with Running(telemetry):
                for number in range(20):
                    telemetry.observe(numbered(number))
                await collector.arrived.reach(5)
    assert spans(telemetry, "exported") == 60
    messages = [each.getMessage() for each in caplog.records]
    assert messages == [
        "the collector takes no traces: HTTP 503",
        "the collector takes traces again",
    ]


async def test_patience_ends() -> None:
    async with Collector() as collector:
        for _ in range(2):
            collector.say(status=503)
        telemetry = exporting(collector.origin, pace={"patience": 0.0, "flush": 0.01})
        async with Running(telemetry):
            telemetry.observe(numbered(0))
            await collector.arrived.reach(1)
            telemetry.observe(numbered(1))
            await collector.arrived.reach(2)
            telemetry.observe(numbered(2))
            await collector.arrived.reach(3)
    assert (spans(telemetry, "failed"), spans(telemetry, "exported")) == (6, 3)


async def test_closing_sends_what_waits() -> None:
    async with Collector() as collector:
        telemetry = exporting(collector.origin, pace={"flush": 60.0})
        async with Running(telemetry):
            telemetry.observe(EXAMPLE)
    assert len(collector.spans()) == 3


async def test_closing_takes_no_longer_than_its_last_words() -> None:
    loop = asyncio.get_running_loop()
    async with Collector() as collector:
        collector.say(before_head=[STALL])
        telemetry = exporting(collector.origin, pace={"last_words": 0.1})
        async with Running(telemetry):
            telemetry.observe(EXAMPLE)
            await collector.arrived.wait()
            begun = loop.time()
        assert loop.time() - begun < 2.0
    assert spans(telemetry, "failed") == 3


async def test_closing_ends_a_long_pause() -> None:
    async with Collector() as collector:
        collector.say(status=503, headers=[("retry-after", "300")])
        telemetry = exporting(collector.origin)
        async with Running(telemetry):
            telemetry.observe(EXAMPLE)
            await collector.arrived.wait()
    assert spans(telemetry, "failed") + spans(telemetry, "exported") == 3


async def test_closing_before_running_is_fine() -> None:
    async with Collector() as collector:
        telemetry = exporting(collector.origin)
        telemetry.observe(EXAMPLE)
        await telemetry.close()
        await telemetry.run()
    assert spans(telemetry, "exported") == 3


async def test_a_cancelled_run_has_counted_its_batch() -> None:
    async with Collector() as collector:
        collector.say(before_head=[STALL])
        telemetry = exporting(collector.origin)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(telemetry.run())
            telemetry.observe(EXAMPLE)
            await collector.arrived.wait()
            task.cancel()
        await telemetry.close()
    assert spans(telemetry, "failed") == 3


async def test_sampled_out_spans_are_counted_and_not_sent() -> None:
    async with Collector() as collector:
        telemetry = exporting(collector.origin, sample=0.0)
        async with Running(telemetry):
            telemetry.observe(record(parent=None))
            telemetry.observe(record(sampled=False))
            telemetry.observe(record(trace=None, span=None, parent=None))
            telemetry.observe(numbered(1))
            await collector.arrived.wait()
    assert len(collector.spans()) == 3
    assert spans(telemetry, "unsampled") == 6


@pytest.mark.parametrize(
    "changes", [{"trace": "not hex"}, {"attempts": (attempt(status=2**70),)}, {"at": 2**80}]
)
async def test_a_record_that_makes_no_spans_takes_no_other_along(
    changes: dict[str, object],
) -> None:
    async with Collector() as collector:
        telemetry = exporting(collector.origin)
        telemetry.observe(record(**changes))
        telemetry.observe(EXAMPLE)
        async with Running(telemetry):
            await collector.arrived.wait()
    assert [span.trace_id.hex() for span in collector.spans()] == [TRACE] * 3
    assert spans(telemetry, "malformed") in {2, 3}


class _Broken:
    """A way with a bug in it; good again after the first call."""

    def __init__(self) -> None:
        self.calls = Tally()

    async def send(self, signal: Signal, body: bytes) -> Verdict:
        self.calls.add()
        if self.calls.value == 1:
            raise ZeroDivisionError(signal)
        return Taken() if body else Later("nothing")

    async def close(self) -> None:
        return None


async def test_a_bug_in_the_way_does_not_end_the_export(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = exporting("http://127.0.0.1:1")
    exporter = telemetry._exporter
    assert isinstance(exporter, Exporter)
    way = exporter._way = _Broken()
    with caplog.at_level(logging.ERROR):
        async with Running(telemetry):
            telemetry.observe(numbered(0))
            await way.calls.reach(1)
            telemetry.observe(numbered(1))
            await way.calls.reach(2)
    assert (spans(telemetry, "failed"), spans(telemetry, "exported")) == (3, 3)
    assert "ZeroDivisionError" in caplog.text


async def test_gen_ai_metrics_arrive_too() -> None:
    async with Collector() as collector:
        telemetry = exporting(collector.origin, metrics=True, pace={"metrics_every": 0.02})
        async with Running(telemetry):
            telemetry.observe(record(trace=None, span=None))
            await collector.arrived.wait()
    metrics = collector.metrics()
    assert sorted(metrics) == [
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.server.request.duration",
        "gen_ai.server.time_per_output_token",
        "gen_ai.server.time_to_first_token",
    ]
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
    }
    tokens = {
        str(found.pop("gen_ai.token.type")): (point.count, point.sum, found)
        for point in metrics["gen_ai.client.token.usage"].histogram.data_points
        for found in [attributes(list(point.attributes))]
    }
    assert tokens == {"input": (1, 19.0, call), "output": (1, 41.0, call)}
    duration = metrics["gen_ai.client.operation.duration"]
    assert duration.unit == "s"
    failed, good = duration.histogram.data_points
    assert attributes(list(failed.attributes)) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.request.model": "gpt-4o",
        "error.type": "503",
    }
    assert attributes(list(good.attributes)) == call
    assert list(good.explicit_bounds[:3]) == [0.01, 0.02, 0.04]
    assert sum(good.bucket_counts) == good.count == 1
    assert len(good.bucket_counts) == len(good.explicit_bounds) + 1
    assert good.sum == pytest.approx(1.299)
    (first,) = metrics["gen_ai.server.time_to_first_token"].histogram.data_points
    assert (first.sum, first.start_time_unix_nano <= first.time_unix_nano) == (0.5, True)


async def test_gen_ai_metrics_are_bounded_by_configured_names() -> None:
    async with Collector() as collector:
        telemetry = exporting(collector.origin, metrics=True)
        for number in range(2_000):
            junk = attempt(provider=f"p{number}", model=f"m{number}", error=f"e{number}")
            telemetry.observe(record(route="openai/*", attempts=(junk,), span=None))
        await telemetry.close()
    points = collector.metrics()["gen_ai.client.operation.duration"].histogram.data_points
    assert [attributes(list(point.attributes)) for point in points] == [
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "other",
            "gen_ai.request.model": "openai/*",
            "error.type": "other",
        }
    ]
    assert points[0].count == 2_000


async def test_a_collector_of_traces_only_is_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Collector() as collector:
        missing = Reply(status=404)
        collector.always(lambda r: missing if r.target.endswith("metrics") else TAKEN)
        telemetry = exporting(collector.origin, metrics=True, pace={"metrics_every": 0.02})
        with caplog.at_level(logging.WARNING):
            async with Running(telemetry):
                for number in range(4):
                    telemetry.observe(numbered(number))
                    await collector.arrived.reach(3 * (number + 1))
    assert [each.getMessage() for each in caplog.records] == [
        "the collector takes no metrics: HTTP 404"
    ]
    assert spans(telemetry, "exported") == 12
