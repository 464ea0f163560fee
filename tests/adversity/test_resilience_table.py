"""Every failure of resilience_failures.py three times: alone, with another vendor behind it, and,
where words went out already, rescued by that. What the caller saw, when, what is recorded and what
it cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.adversity.resilience_failures import FAILURES, SOON, Failure
from tests.adversity.resilience_run import (
    ALL,
    DEARER,
    TEXT,
    Seen,
    asked,
    configured,
    seen,
    two_vendors,
)
from tests.fakes.vendor import Vendor
from tests.integration.purse import IN

NOTHING: Mapping[str, Any] = {}


def paid(failure: Failure, one: Vendor) -> tuple[int, int]:
    """The least and the most that the failed attempt may cost."""
    read = -(-len(one.requests[0].body) // 4) * IN
    if failure.paid == "nothing":
        return 0, 0
    return (read, read) if failure.paid == "input" else (read, read + ALL)


def check_first(failure: Failure, found: Seen, one: Vendor) -> None:
    """The first attempt, however the request ended."""
    least, most = paid(failure, one)
    assert least <= found.costs[0] <= most, found.costs
    assert found.record.cost == sum(found.costs)
    assert failure.after <= found.seconds < failure.after + SOON, found.seconds


@pytest.mark.parametrize("name", FAILURES)
async def test_alone(tmp_path: Path, name: str) -> None:
    """The caller is told, in OpenAI's shape, with a true status."""
    failure = FAILURES[name]
    async with two_vendors() as (one, _):
        one.always(failure.reply)
        configuration = configured(one.url, None, tmp_path, NOTHING, NOTHING)
        (found,) = await seen(tmp_path, configuration, asked(stream=failure.stream))
        assert one.calls == 1
    status, code = failure.told
    assert found.answer.status == status
    assert found.error is not None and found.error["code"] == code, found.error
    assert found.attempts == [("one", failure.reason)]
    assert found.record.outcome in {"failed", "upstream_cut", "refused"}
    assert found.record.status == status
    check_first(failure, found, one)


@pytest.mark.parametrize("name", [name for name, each in FAILURES.items() if not each.begun])
async def test_with_another_vendor_the_caller_sees_nothing_of_it(tmp_path: Path, name: str) -> None:
    failure = FAILURES[name]
    async with two_vendors() as (one, two):
        one.always(failure.reply)
        configuration = configured(one.url, two.url, tmp_path, NOTHING, NOTHING)
        (found,) = await seen(tmp_path, configuration, asked(stream=failure.stream))
        assert (one.calls, two.calls) == (1, 1)
    assert (found.answer.status, found.text, found.error) == (200, TEXT, None)
    assert found.attempts == [("one", failure.reason), ("two", None)]
    assert found.costs[1] == DEARER * ALL
    record, answer = found.record, found.answer
    assert (record.outcome, record.status, record.error) == ("completed", 200, None)
    assert (record.served_provider, record.served_model) == ("two", "second")
    assert answer.header("x-llm-proxy-provider") == "two"
    assert answer.header("x-llm-proxy-model") == "second"
    assert answer.header("x-llm-proxy-attempts") == "2"
    assert answer.header("x-llm-proxy-fallback-from") == "m"
    check_first(failure, found, one)


@pytest.mark.parametrize("name", [name for name, each in FAILURES.items() if each.begun])
async def test_what_was_begun_is_left_to_its_error_without_a_rescue(
    tmp_path: Path, name: str
) -> None:
    failure = FAILURES[name]
    async with two_vendors() as (one, two):
        one.always(failure.reply)
        configuration = configured(one.url, two.url, tmp_path, NOTHING, NOTHING)
        (found,) = await seen(tmp_path, configuration, asked(stream=True))
        assert (one.calls, two.calls) == (1, 0)
    assert found.answer.status == 200 and TEXT.startswith(found.text) and found.text != TEXT
    assert found.error is not None and found.error["code"] == failure.told[1]
    assert (found.record.outcome, found.attempts) == ("upstream_cut", [("one", failure.reason)])


@pytest.mark.parametrize("way", ["restart", "prefill"])
@pytest.mark.parametrize("name", [name for name, each in FAILURES.items() if each.begun])
async def test_what_was_begun_is_carried_on(tmp_path: Path, name: str, way: str) -> None:
    failure = FAILURES[name]
    able = {"capabilities": ["chat", "prefill"]}
    async with two_vendors() as (one, two):
        one.always(failure.reply)
        configuration = configured(one.url, two.url, tmp_path, {"rescue": [way]}, able)
        (found,) = await seen(tmp_path, configuration, asked(stream=True))
        assert (one.calls, two.calls) == (1, 1)
    # A vendor that is given the beginning and repeats it all the same is understood, too.
    assert (found.answer.status, found.text, found.error) == (200, TEXT, None)
    assert found.answer.body.count(b'"llm_proxy":{"rescue":"%b"' % way.encode()) == 1
    assert found.attempts == [("one", failure.reason), ("two", None)]
    assert found.record.attempts[1].rescue == way
    assert (found.record.outcome, found.record.status) == ("completed", 200)
    assert found.costs[1] == DEARER * ALL
    check_first(failure, found, one)
