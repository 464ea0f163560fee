"""How callers are told when to come again."""

import pytest

from proxy.core.quota import Demand, QuotaExceeded, Rule, Scope, Sliding
from proxy.limits.answers import limit_reached, retry
from proxy.stores.memory.store import MemoryQuotas


class Clock:
    """Moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [
        (0.0, 1, 1), (0.0004, 1, 1), (0.25, 1, 250), (1.0, 1, 1000), (1.0001, 2, 1001),
        (59.2, 60, 59200), (60.0, 60, 60000), (60.001, 61, 60001), (86400.0, 86400, 86_400_000),
    ],
)  # fmt: skip
def test_seconds_are_the_milliseconds_rounded_up(
    seconds: float, whole: int, milliseconds: int
) -> None:
    assert retry(seconds) == (
        (b"retry-after", b"%d" % whole),
        (b"retry-after-ms", b"%d" % milliseconds),
    )


@pytest.mark.parametrize("begun", [0.0, 0.001, 0.5, 0.999])
async def test_what_is_told_of_a_minute_is_true_and_never_a_bucket_too_much(begun: float) -> None:
    """Who comes back then is let in; a bucket (a second) earlier it would be refused."""
    clock = Clock()
    quota = MemoryQuotas(monotonic=clock).bind(
        (Rule(Scope("key", "k"), "rpm", "requests", 1, Sliding(60)),)
    )
    clock.now = 7000 + begun
    _ = await quota.take(Demand("req_1"))
    with pytest.raises(QuotaExceeded) as no:
        await quota.take(Demand("req_2"))
    told = dict(limit_reached(no.value.denial).headers)
    milliseconds, seconds = int(told[b"retry-after-ms"]), int(told[b"retry-after"])
    assert 60_000 < milliseconds <= 61_000
    assert seconds == -(-milliseconds // 1000)
    clock.now += milliseconds / 1000 - 0.01
    with pytest.raises(QuotaExceeded):
        await quota.take(Demand("req_3"))
    clock.now += 0.01
    _ = await quota.take(Demand("req_4"))
