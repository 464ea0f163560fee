"""On a connection that has seen a head, the server makes of the next request what it makes of it in
single bytes, of which a head that comes again is never made."""

import asyncio
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adversity.request_cases import CASES, SMALL, TOKENS
from tests.examples import examples
from tests.fakes.server_pair import Outcome, outcome

_SDK = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept-Encoding: gzip\r\n"
    b"Connection: keep-alive\r\nContent-Type: application/json\r\nX-Stainless-Async: false\r\n"
    b"Authorization: Bearer sk-1\r\nContent-Length: %d\r\nX-Behind: it\r\n\r\n"
)
_LENGTH = re.compile(rb"(?i)(content-length: *)\d+")


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def asked(body: bytes) -> bytes:
    return _SDK % len(body) + body


def both(runner: asyncio.Runner, first: bytes, *then: bytes) -> tuple[Outcome, Outcome]:
    """What it makes of them in a read each, and of what comes after the first in single bytes."""
    singly = [bytes((byte,)) for data in then for byte in data]
    whole = runner.run(outcome("httptools", [first, *then]))
    return whole, runner.run(outcome("httptools", [first, *singly]))


@pytest.mark.parametrize("name", CASES)
def test_every_case_after_a_plain_request(runner: asyncio.Runner, name: str) -> None:
    if len(CASES[name]) < 5000:
        whole, singly = both(runner, asked(b"{}"), CASES[name], asked(b"{1}"))
        assert whole == singly


@pytest.mark.parametrize("name", CASES)
def test_every_case_twice(runner: asyncio.Runner, name: str) -> None:
    if len(CASES[name]) < 5000:
        whole, singly = both(runner, CASES[name], CASES[name])
        assert whole == singly


@st.composite
def changed(draw: st.DrawFn, data: bytes) -> bytes:
    """The same, another length of the same digits, or up to two changes anywhere."""
    if draw(st.booleans()):
        told = draw(st.sampled_from([b"0", b"2", b"3", b"02", b"4", b"10", b"-2", b"1e1", b"2,2"]))
        data = _LENGTH.sub(rb"\g<1>" + told, data, count=1)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        until = min(at + draw(st.sampled_from([0, 0, 1, 2, 9])), len(data))
        data = data[:at] + draw(st.sampled_from([*TOKENS, b"", data[at:until] * 2])) + data[until:]
    return data


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Requests of one connection, each much like the first."""
    first = draw(st.sampled_from([*SMALL, *(asked(b"x" * size) for size in (0, 2, 9, 10))]))
    return [first, *(draw(changed(first)) for _ in range(draw(st.integers(1, 3))))]


@settings(max_examples=examples(150), deadline=None)
@given(requests=conversations())
def test_much_the_same_again(runner: asyncio.Runner, requests: list[bytes]) -> None:
    whole, singly = both(runner, *requests)
    assert whole == singly
