"""Content codings, undone in any split and never beyond the limit."""

import gzip
import tracemalloc
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.errors import Malformed
from proxy.upstream.coding import Collector

PLAIN = b"".join(b"line %d of a text\n" % n for n in range(200))


PACKED = {
    "gzip": gzip.compress(PLAIN),
    "x-gzip": gzip.compress(PLAIN[:99]) + gzip.compress(b"") + gzip.compress(PLAIN[99:]),
    "deflate": zlib.compress(PLAIN),
    "Deflate ": zlib.compress(PLAIN, 9),
    "identity": PLAIN,
}


def unpack(coding: str, pieces: list[bytes], limit: int = 1 << 20) -> bytes:
    collector = Collector([(b"content-encoding", coding.encode())], limit)
    for piece in pieces:
        collector.add(piece)
    return collector.finish()


@pytest.mark.parametrize("coding", PACKED)
def test_whole_and_byte_by_byte(coding: str) -> None:
    packed = PACKED[coding]
    assert unpack(coding, [packed]) == PLAIN
    assert unpack(coding, [packed[at : at + 1] for at in range(len(packed))]) == PLAIN


@given(st.sampled_from(sorted(PACKED)), st.lists(st.integers(0, 4000), max_size=8))
def test_any_split(coding: str, cuts: list[int]) -> None:
    packed = PACKED[coding]
    edges = [0, *sorted(min(cut, len(packed)) for cut in cuts), len(packed)]
    pieces = [packed[a:b] for a, b in pairwise(edges)]
    assert unpack(coding, pieces) == PLAIN


@pytest.mark.parametrize("coding", PACKED)
def test_the_limit_is_exact_and_counts_what_comes_out(coding: str) -> None:
    assert unpack(coding, [PACKED[coding]], len(PLAIN)) == PLAIN
    with pytest.raises(Malformed, match=r"larger|more than"):
        unpack(coding, [PACKED[coding]], len(PLAIN) - 1)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bombs_do_not_go_off(coding: str) -> None:
    bomb = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(200)) + bomb.flush()
    tracemalloc.start()
    try:
        with pytest.raises(Malformed, match="more than"):
            unpack(coding, [packed], 100_000)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "Deflate "])
def test_broken_codings(coding: str) -> None:
    packed = PACKED[coding]
    for broken in (packed[:-1], packed[: len(packed) // 2], packed[:1], b"not packed at all"):
        with pytest.raises(Malformed):
            unpack(coding, [broken])
    with pytest.raises(Malformed):
        unpack(coding, [packed + b"junk"])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
def test_an_empty_body_is_whole(coding: str) -> None:
    assert unpack(coding, []) == b""


@pytest.mark.parametrize("coding", ["zstd", "br", "compress", "gzip, gzip", "gzip,deflate"])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(Malformed, match="Content-Encoding"):
        unpack(coding, [b"x"])


def test_two_fields_are_two_codings() -> None:
    with pytest.raises(Malformed):
        Collector([(b"Content-Encoding", b"gzip"), (b"content-encoding", b"gzip")], 10)
    Collector([(b"Content-Encoding", b"gzip"), (b"content-encoding", b"identity, ")], 10)
