"""A chunk that comes alone is taken without the parser: nothing else may come of it.

Two readers get the same reads. One feeds them all to the parser, the other takes for a lone chunk
what looks like one wherever a chunk may begin. What they say must be the same after each read.
"""

from itertools import pairwise

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.reading import ResponseReader
from proxy.wire.chunked import chunk

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SAYS = b"data: {}\n\n"
Said = tuple[bytes, bool, bool, bool]


class Reading:
    """What a connection does with a reader, without the connection."""

    def __init__(self, *, parses_all: bool) -> None:
        self.reader = ResponseReader()
        self.alone = 0
        self._parses_all = parses_all
        self._body = b""
        self._failed = False

    def read(self, data: bytes) -> Said:
        reader = self.reader
        if not self._failed and not reader.complete:
            lone = None if self._parses_all else reader.chunk(data)
            if lone is None:
                self._parse(data)
            else:
                self.alone += 1
                self._body += lone
        return self._body, reader.complete, reader.reusable, self._failed

    def _parse(self, data: bytes) -> None:
        reader = self.reader
        try:
            reader.feed(data)
        except httptools.HttpParserError as error:
            self._failed = reader.failure(error) is not None
        self._body += b"".join(reader.parts)
        reader.parts.clear()


def both(reads: list[bytes]) -> int:
    """How many reads were taken without the parser."""
    plain, quick = Reading(parses_all=True), Reading(parses_all=False)
    for data in reads:
        if data:
            assert plain.read(data) == quick.read(data)
    return quick.alone


def test_a_stream_event_by_event() -> None:
    assert both([HEAD + chunk(SAYS), *[chunk(SAYS)] * 5, b"0\r\n\r\n"]) == 5


def test_the_head_alone_is_followed_by_a_parsed_chunk() -> None:
    """Where no chunk has ended, the parser alone knows where it stands."""
    assert both([HEAD, chunk(SAYS), chunk(SAYS), b"0\r\n\r\n"]) == 1


@pytest.mark.parametrize(
    "reads",
    [
        # Each looks like a lone chunk, in a place where it is none.
        [HEAD + chunk(SAYS) + b"1", chunk(SAYS), b"0\r\n\r\n"],
        [HEAD + chunk(SAYS) + b"9\r\n", chunk(b"1234"), b"\r\n", chunk(SAYS), b"0\r\n\r\n"],
        [HEAD + chunk(SAYS)[:-1], chunk(SAYS), b"0\r\n\r\n"],
        [HEAD + chunk(SAYS)[:-2], chunk(SAYS), b"0\r\n\r\n"],
        [HEAD + chunk(SAYS) + b"0\r\n", chunk(b"x: y"), b"\r\n"],
        [HEAD + chunk(SAYS) + b"0\r\n\r\n", chunk(SAYS)],
        [HEAD + chunk(SAYS) + b"a;x=\r\n", chunk(b"12345"), b"\r\n", chunk(SAYS)],
        # A size that ends in a line's end, but not its own.
        [HEAD + chunk(b"1\r\n"), chunk(SAYS), b"3\r\n1\r\n", b"\r\n", chunk(SAYS)],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n", chunk(SAYS), chunk(SAYS), chunk(SAYS)],
        [b"HTTP/1.1 200 OK\r\n\r\n" + chunk(SAYS), chunk(SAYS)],
    ],
)
def test_where_it_is_none(reads: list[bytes]) -> None:
    both(reads)


def test_a_second_answer_begins_anew() -> None:
    reader = ResponseReader()
    reader.feed(HEAD + chunk(SAYS))
    assert reader.chunk(chunk(SAYS)) == SAYS
    reader.feed(b"0\r\n\r\n")
    reader.expect(head_only=False)
    assert reader.chunk(chunk(SAYS)) is None


def test_after_what_is_no_http_nothing_is_taken() -> None:
    reader = ResponseReader()
    reader.feed(HEAD + chunk(SAYS))
    with pytest.raises(httptools.HttpParserError):
        reader.feed(b"xyz\r\n")
    assert reader.chunk(chunk(SAYS)) is None


FORMS = (
    *(chunk(SAYS), chunk(b"\r\n"), chunk(b"1\r\nx\r\n"), b"A\r\n0123456789\r\n", b"01\r\nx\r\n"),
    *(b"1;x=y\r\nz\r\n", b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"\r\n", b"1\r\n", b"x\r\n", b"g"),
)
PIECES = st.one_of(st.binary(min_size=1, max_size=20).map(chunk), st.sampled_from(FORMS))


@given(st.lists(PIECES, max_size=8), st.lists(st.integers(0, 200), max_size=8))
def test_any_reads_say_the_same(pieces: list[bytes], cuts: list[int]) -> None:
    """Pieces as they were sent, and the same bytes cut elsewhere."""
    both([HEAD, *pieces])
    both([HEAD + b"".join(pieces[:1]), *pieces[1:]])
    raw = HEAD + b"".join(pieces)
    edges = sorted({0, len(raw), *(len(HEAD) + cut for cut in cuts)})
    both([raw[a:b] for a, b in pairwise(edges)])
