"""How callers are told when to come again."""

import pytest

from proxy.core.quota import Demand, QuotaExceeded, Rule, Scope, Sliding, Stand
from proxy.limits.answers import limit_reached, lines, rate_headers, retry, usd
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


STANDS = [
    (900, 899, 60.0), (900, 0, 61.0), (10**15, 7, 0.25), (5, 5, 0.0), (3, 1, 59.2),
    (1, 0, 86_461.9), (9, 8, 1.0), (9, 8, 0.9999), (7, 7, 1.0000001), (2, 1, 3600.0),
]  # fmt: skip


@pytest.mark.parametrize("requests", [None, *STANDS])
@pytest.mark.parametrize("tokens", [None, *STANDS])
def test_lines_say_what_fields_say(requests: Stand | None, tokens: Stand | None) -> None:
    """Whether they are made of a text that others share or not."""
    fields = [
        field
        for measure, stand in (("requests", requests), ("tokens", tokens))
        if stand is not None
        for field in rate_headers(measure, stand)
    ]
    expected = b"".join(b"%b: %b\r\n" % field for field in fields)
    assert lines(requests, tokens, None) == expected
    assert lines(requests, tokens, None) == expected  # The shared text is known by now.


@pytest.mark.parametrize(
    "nano", [0, 1, 10, 999_999_999, 10**9, 10**10, 12_500_000_000, 10**24 + 70]
)
@pytest.mark.parametrize("stand", [None, STANDS[0]])
def test_the_line_of_a_budget_is_exact(nano: int, stand: Stand | None) -> None:
    before = lines(stand, stand, None)
    told = b"x-llm-proxy-budget-remaining: %b\r\n" % usd(nano).encode()
    assert lines(stand, stand, nano) == before + told
