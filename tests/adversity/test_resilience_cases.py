"""The cases of resilience_cases.py, and vendors that cannot be reached at all."""

import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme

from tests.adversity.resilience_cases import CASES, TWICE
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
from tests.fakes.default_replies import default_reply
from tests.fakes.http_in import Request
from tests.fakes.script import Reply
from tests.fakes.vendor import Vendor
from tests.integration.gateway import closed_port


def usual(request: Request) -> Reply:
    return default_reply(request.method, request.target, request.body)


def script(vendor: Vendor, first: Sequence[Reply], ever: Reply | None) -> None:
    """The replies of a case, in their order."""
    rest = iter(first)
    if first or ever is not None:
        vendor.always(lambda request: next(rest, ever) or usual(request))


@pytest.mark.parametrize("name", CASES)
async def test_case(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    async with two_vendors() as (one, two):
        script(one, case.one, case.one_ever)
        script(two, case.two, case.two_ever)
        configuration = configured(
            one.url, None if case.alone else two.url, tmp_path, case.model, case.second
        )
        (found,) = await seen(tmp_path, configuration, asked(stream=case.stream))
        assert one.calls + two.calls == len(case.tried)
    least, most = case.seconds
    assert least <= found.seconds < most
    assert (found.answer.status, found.text) == (case.status, case.text)
    assert (found.error or {}).get("code") == case.code
    assert found.attempts == case.tried
    check_costs(found, case.costs)
    check_outcome(found)
    check_told(found)


def check_costs(found: Seen, costs: Sequence[int | None]) -> None:
    assert len(found.costs) == len(costs)
    for paid, expected in zip(found.costs, costs, strict=True):
        assert paid == expected or (expected is None and paid > 0), found.costs
    assert found.record.cost == sum(found.costs)


def check_outcome(found: Seen) -> None:
    """The record says what the caller saw."""
    if found.error is None:
        assert (found.record.outcome, found.record.error) == ("completed", None)
        assert found.record.served_provider == found.attempts[-1][0]
    else:
        assert found.record.outcome == ("upstream_cut" if found.text else "failed")
    assert found.record.status == found.answer.status


def check_told(found: Seen) -> None:
    """An error lists all that was tried, in order."""
    if found.error is None or len(found.attempts) < 2 or found.answer.status == 200:
        return
    listed = found.error["provider_specific_fields"]["attempts"]
    assert [(each["provider"], each["error"]) for each in listed] == found.attempts


class TestNoConnection:
    """Nothing was sent, so nothing is paid, and whatever was tried is tried elsewhere."""

    async def _check(self, folder: Path, one: str, *, within: float) -> None:
        async with Vendor() as two:
            configuration = configured(one, two.url, folder, {}, {})
            (found,) = await seen(folder, configuration, asked())
            assert two.calls == 1
        assert (found.answer.status, found.text) == (200, TEXT)
        assert found.attempts == [("one", "connect"), ("two", None)]
        assert found.costs == [0, DEARER * ALL] and found.seconds < within

    async def _check_alone(self, folder: Path, one: str) -> None:
        (found,) = await seen(folder, configured(one, None, folder, TWICE, {}), asked())
        assert found.answer.status == 502
        assert found.error is not None and found.error["code"] == "upstream_unreachable"
        assert found.attempts == [("one", "connect")] * 2
        assert found.record.cost == 0 and found.record.usage is None

    async def test_a_name_that_is_not_known(self, tmp_path: Path) -> None:
        url = "http://nobody.invalid/v1"
        await self._check(tmp_path / "other", url, within=4)
        await self._check_alone(tmp_path / "alone", url)

    async def test_a_port_that_is_closed(self, tmp_path: Path) -> None:
        url = f"http://127.0.0.1:{closed_port()}/v1"
        await self._check(tmp_path / "other", url, within=1)
        await self._check_alone(tmp_path / "alone", url)

    async def test_a_certificate_that_nobody_trusts(self, tmp_path: Path) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        async with Vendor(tls=context) as one:
            await self._check(tmp_path / "other", one.url, within=1.5)
            await self._check_alone(tmp_path / "alone", one.url)
            assert one.calls == 0
