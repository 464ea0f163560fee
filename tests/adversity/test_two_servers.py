"""The two HTTP servers make the same of the same bytes: answers, whether the connection ends, and
what the handler saw; and the second makes the same of them however they are cut into reads.

What aiohttp's parser makes of a request depends on the reads: of what came together with malformed
bytes it tells nothing. So it gets them byte by byte, which is what it makes of them in the end. Two
more things are not compared: aiohttp's server closes after every chunked body (its parser takes the
last trailer for a field of the next request), and whether a handler saw a request whose body broke.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxy.server.listener import Kind
from tests.adversity.request_cases import CASES, LAXER, NEXT, POST, SMALL, STRICTER, TOKENS
from tests.examples import examples
from tests.fakes.server_pair import LIMIT, Outcome, Seen, outcome

_ANSWER = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ")
_NO_AUTHORITY = re.compile(rb"http://(?![a-z.]+(?::\d{1,5})?[/ ?])")
_TWO_TRAILERS = re.compile(rb"chunked.*\r\n0+[^\r\n]*\r\n[^\r\n]+\r\n[^\r\n]+\r\n", re.DOTALL)
_CODE = re.compile(rb'"code":"([a-z_]+)"')


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@dataclass
class View:
    """What must be the same."""

    statuses: list[bytes]
    codes: list[bytes]
    seen: list[Seen]
    closed: bool | None


def view(found: Outcome) -> View:
    statuses: list[bytes] = _ANSWER.findall(found.answers)
    codes: list[bytes] = _CODE.findall(found.answers)
    whole = [seen for seen in found.seen if seen.error != "bad_http"]
    for at, seen in enumerate(whole):
        if seen.length is None and seen.body is not None:
            return View(statuses[: at + 1], [], whole[: at + 1], None)
    return View(statuses, codes, whole, found.closed)


def singly(data: bytes) -> list[bytes]:
    """Byte by byte; of what is long, in reads that end nowhere in particular."""
    step = 1 if len(data) <= 1200 else 89
    return [data[at : at + step] for at in range(0, len(data), step)]


def run(runner: asyncio.Runner, kind: Kind, pieces: Sequence[bytes]) -> Outcome:
    return runner.run(outcome(kind, pieces))


@pytest.mark.parametrize("name", CASES)
def test_both_make_the_same_of_it(runner: asyncio.Runner, name: str) -> None:
    data = CASES[name]
    theirs = view(run(runner, "aiohttp", singly(data)))
    assert view(run(runner, "httptools", singly(data))) == theirs
    assert view(run(runner, "httptools", [data])) == theirs


@pytest.mark.parametrize("name", CASES)
def test_in_one_read_both_end_alike(runner: asyncio.Runner, name: str) -> None:
    """Nothing that one refuses is served by the other; but what came before it may be."""
    theirs, ours = (view(run(runner, kind, [CASES[name]])) for kind in ("aiohttp", "httptools"))
    if theirs.statuses[-1:] == [b"400"] and not theirs.seen:
        assert ours.statuses[-1:] == [b"400"] or ours.closed or ours.closed is None
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", STRICTER)
def test_what_only_the_second_refuses(runner: asyncio.Runner, name: str) -> None:
    data, _ = STRICTER[name]
    assert view(run(runner, "aiohttp", [data])).statuses == [b"200"]
    ours = run(runner, "httptools", [data])
    assert (view(ours).statuses, ours.closed) == ([b"400"], True)


@pytest.mark.parametrize("name", LAXER)
def test_what_only_the_first_refuses(runner: asyncio.Runner, name: str) -> None:
    data, _ = LAXER[name]
    assert view(run(runner, "aiohttp", [data])).statuses == [b"400"]
    assert view(run(runner, "httptools", [data])).statuses == [b"200"]


@pytest.mark.parametrize("name", ["plain", "chunks", "after an upgrade", "a trailer"])
def test_every_cut_into_two_reads(runner: asyncio.Runner, name: str) -> None:
    data = CASES[f"body: {name}"]
    whole = run(runner, "httptools", [data])
    assert len(whole.seen) in {1, 2}
    for at in range(1, len(data)):
        assert run(runner, "httptools", [data[:at], data[at:]]) == whole, data[:at]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A case with up to three changes."""
    data = draw(st.sampled_from(SMALL))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        until = min(at + draw(st.sampled_from([0, 0, 0, 1, 2, 9])), len(data))
        data = data[:at] + draw(st.sampled_from([*TOKENS, b"", data[at:until] * 2])) + data[until:]
    # Trailers are dropped; aiohttp refuses some that come twice, but not if it is the last. And an
    # authority, of which nothing is made, may be nonsense for one and not for the other.
    assume(not _TWO_TRAILERS.search(data) and not _NO_AUTHORITY.search(data))
    return data + b"\r\n\r\n"  # aiohttp refuses some heads before they are whole.


@settings(max_examples=examples(150))
@given(data=mutations(), cut=st.integers(0, 600))
def test_mutations(runner: asyncio.Runner, data: bytes, cut: int) -> None:
    theirs = view(run(runner, "aiohttp", singly(data)))
    ours = run(runner, "httptools", [data])
    assert view(ours) == theirs
    assert view(run(runner, "httptools", [data[:cut], data[cut:]])) == theirs


_SIZES = (3, 12_000, 16_383, 16_384, 16_385, 20_480, 40_000, LIMIT, LIMIT + 1)
_RUN_OR_BYTE = re.compile(rb"x{3,2000}|.", re.DOTALL)
_FIELDS = (b"", b"", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n")


@st.composite
def trains(draw: st.DrawFn) -> bytes:
    """Requests one behind the other, some with bodies of many reads, some not as long as told."""
    data = b""
    for _ in range(draw(st.integers(1, 4))):
        size = draw(st.sampled_from(_SIZES))
        told = max(size + draw(st.sampled_from([0, 0, 0, 0, 1, -1, 40])), 0)
        head = POST.replace(b"1.1", draw(st.sampled_from([b"1.1", b"1.1", b"1.0"])))
        head += draw(st.sampled_from(_FIELDS)) + b"Content-Length: %d\r\n\r\n" % told
        data += head + b"x" * size + draw(st.sampled_from([b"", b"", NEXT, b"\r\n"]))
    return data + NEXT


@settings(max_examples=examples(25), deadline=None)
@given(data=trains(), cuts=st.lists(st.integers(0, 250_000), max_size=6))
def test_large_bodies(runner: asyncio.Runner, data: bytes, cuts: list[int]) -> None:
    """Of a large body the parser sees but the beginning."""
    theirs = view(run(runner, "aiohttp", _RUN_OR_BYTE.findall(data)))
    assert view(run(runner, "httptools", [data])) == theirs
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[at:until] for at, until in pairwise(places)]
    assert view(run(runner, "httptools", [piece for piece in pieces if piece])) == theirs
