"""A vendor that is well and ill by turns, a minute in small: no caller sees it, its breaker spares
it while it is ill, and it serves again when it is well."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from proxy.base.clock import monotonic
from proxy.wire.record import UsageRecord
from tests.adversity.resilience_failures import FAILURES
from tests.adversity.resilience_run import (
    ALL,
    CHAT,
    DEARER,
    asked,
    configured,
    two_vendors,
)
from tests.fakes.default_replies import default_reply
from tests.fakes.script import Reply
from tests.fakes.vendor import Request, Vendor
from tests.integration.gateway import Gateway, gateway
from tests.integration.raw_caller import Answer
from tests.integration.test_counted_tokens import records

PHASE = 0.3  # Seconds well, then ill.
PHASES = 10
ILLS = ["500", "503", "reset before the head", "reset inside the head", "JSON cut at two thirds"]
BREAKER = {"failures": 3, "recovery": "60ms"}


class Flapping:
    """What a vendor says that is ill in every other phase."""

    def __init__(self) -> None:
        self._began = monotonic()
        self.ill_asked = 0
        self.resets = 0  # Before a head: on a connection that was idle the same is sent once more.
        self.well_asked = Counter[int]()

    @property
    def phase(self) -> int:
        return int((monotonic() - self._began) / PHASE)

    def __call__(self, request: Request) -> Reply:
        if self.phase % 2 and self.phase < PHASES:
            self.ill_asked += 1
            ill = ILLS[self.ill_asked % len(ILLS)]
            self.resets += ill == "reset before the head"
            return FAILURES[ill].reply
        self.well_asked[self.phase] += 1
        return default_reply(request.method, request.target, request.body)


async def caller(proxy: Gateway, flapping: Flapping, answers: list[Answer]) -> None:
    """Asks one thing after the other until the last phase is over."""
    each = await proxy.call()
    while flapping.phase <= PHASES:
        body = asked(stream=len(answers) % 2 == 0)
        answers.append(await each.ask("POST", CHAT, body=body))
        await asyncio.sleep(0.004)


async def flap(one: Vendor, configuration: dict[str, object]) -> tuple[Flapping, list[Answer]]:
    flapping, answers = Flapping(), list[Answer]()
    one.always(flapping)
    async with gateway(configuration) as proxy, asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(caller(proxy, flapping, answers))
    return flapping, answers


def check_records(kept: Sequence[UsageRecord], one: Vendor, two: Vendor, resets: int) -> None:
    """Every attempt is there, with its reason and its cost."""
    tried = Counter(
        (each.provider, each.reason or each.error) for record in kept for each in record.attempts
    )
    known = sum(count for (name, _), count in tried.items() if name == "one")
    assert one.calls - resets <= known <= one.calls
    assert tried["two", None] == two.calls
    assert {reason for name, reason in tried if name == "one"} == {
        None, "server", "overloaded", "reset", "cut"
    }  # fmt: skip
    for record in kept:
        last = record.attempts[-1]
        assert record.outcome == "completed" and last.cost is not None
        assert last.cost.total == (ALL if last.provider == "one" else DEARER * ALL)


async def test_a_minute_of_flapping(tmp_path: Path) -> None:
    async with two_vendors() as (one, two):
        configuration = configured(one.url, two.url, tmp_path, {"breaker": BREAKER}, {})
        flapping, answers = await flap(one, configuration)
        kept = await records(tmp_path)
    assert {answer.status for answer in answers} == {200}
    assert all(
        answer.body.endswith((b"data: [DONE]\n\n", b"}")) and b'"error"' not in answer.body
        for answer in answers
    )
    assert len(kept) == len(answers) > 200
    check_records(kept, one, two, flapping.resets)
    # Ill: what opens its breaker, what is under way then, and one probe at a time.
    assert flapping.ill_asked <= PHASES // 2 * (3 + 4 + PHASE / 0.06 + 4)
    assert two.calls > flapping.ill_asked
    # Well: it serves, after a breaker's recovery at the latest.
    assert all(flapping.well_asked[phase] > 3 for phase in range(0, PHASES + 1, 2))
