"""Content codings: any split, bounded, and a coding that is cut is not whole."""

import gzip
import zlib
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.errors import BadRequest, Malformed, ProxyError, TooLarge, UnsupportedMedia
from proxy.wire.coding import MOST_PER_READ, Inflate, inflate_request, is_gzip
from tests.unit.wire.wire_splits import bytewise, splits

Compress = Callable[[bytes], bytes]
compressors: st.SearchStrategy[Compress] = st.sampled_from(
    [partial(gzip.compress, mtime=0), partial(zlib.compress)]
)
TEXT = b'data: {"choices":[]}\n\n' * 50


def inflated(pieces: list[bytes]) -> bytes:
    engine = Inflate()
    return b"".join([*(engine.feed(piece) for piece in pieces), engine.finish()])


@given(st.binary(max_size=500), compressors, st.data())
def test_any_split(plain: bytes, compress: Compress, data: st.DataObject) -> None:
    assert inflated(data.draw(splits(compress(plain)))) == plain


def test_several_members() -> None:
    body = gzip.compress(TEXT) + gzip.compress(b"") + gzip.compress(b"end")
    assert inflated([body]) == inflated(bytewise(body)) == TEXT + b"end"


def test_bytes_that_are_here_are_not_held_back() -> None:
    engine = zlib.compressobj(wbits=31)
    flushed = engine.compress(TEXT) + engine.flush(zlib.Z_SYNC_FLUSH)
    assert Inflate().feed(flushed) == TEXT


def test_an_empty_body_is_whole() -> None:
    assert inflated([]) == b""


@pytest.mark.parametrize("cut", [1, 10, 30, -8, -1])
def test_a_cut_is_seen(cut: int) -> None:
    with pytest.raises(Malformed, match="in the middle"):
        inflated([gzip.compress(TEXT)[:cut]])


@pytest.mark.parametrize(
    "body",
    [b"plain text", gzip.compress(TEXT) + b"garbage", b"\x1f\x8b\xff"],
    ids=["plain", "garbage behind", "bad head"],
)
def test_another_coding_is_seen(body: bytes) -> None:
    with pytest.raises(Malformed):
        inflated([body])


def test_a_bomb_is_bounded() -> None:
    with pytest.raises(Malformed, match="more than"):
        Inflate().feed(gzip.compress(bytes(MOST_PER_READ + 1), 1))
    with pytest.raises(Malformed, match="more than"):
        Inflate().feed(gzip.compress(bytes(MOST_PER_READ), 1) + gzip.compress(b"x"))
    assert len(Inflate().feed(gzip.compress(bytes(MOST_PER_READ - 1), 1))) == MOST_PER_READ - 1


@pytest.mark.parametrize(
    ("coding", "known"),
    [("gzip", True), (b" X-GZip ", True), ("deflate", True), (b"br", False), ("gzip, br", False)],
)
def test_is_gzip(coding: bytes | str, known: bool) -> None:
    assert is_gzip(coding) is known


@given(st.binary(max_size=200), compressors)
def test_a_request_that_fits_exactly(plain: bytes, compress: Compress) -> None:
    assert inflate_request(compress(plain), "gzip", len(plain)) == plain


REFUSED: dict[str, tuple[bytes, str, type[ProxyError]]] = {
    "one byte too many": (gzip.compress(b"x" * 101), "gzip", TooLarge),
    "bomb": (gzip.compress(bytes(64 * 1024 * 1024), 1), "gzip", TooLarge),
    "check sum cut": (gzip.compress(TEXT[:90])[:-1], "gzip", BadRequest),
    "cut": (gzip.compress(TEXT[:90])[:15], "gzip", BadRequest),
    "empty": (b"", "gzip", BadRequest),
    "not compressed": (b"{}", "gzip", BadRequest),
    "two members": (gzip.compress(b"{}") + gzip.compress(b"{}"), "gzip", BadRequest),
    "more behind": (gzip.compress(b"{}") + b"\0", "gzip", BadRequest),
    "br": (b"{}", "br", UnsupportedMedia),
    "not a word": (b"{}", "\udcff", UnsupportedMedia),
}


@pytest.mark.parametrize(("body", "coding", "error"), REFUSED.values(), ids=REFUSED)
def test_requests_that_are_refused(body: bytes, coding: str, error: type[ProxyError]) -> None:
    with pytest.raises(error):
        inflate_request(body, coding, 100)


@given(st.binary(max_size=100))
def test_random_bytes_raise_nothing_else(body: bytes) -> None:
    with pytest.raises((BadRequest, TooLarge)):
        inflate_request(b"\x1f\x8b\x08" + body, "gzip", 100)
