"""The reader without a socket: any split of the bytes gives the same answers."""

from itertools import pairwise

import httptools
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.reading import ResponseReader
from tests.fakes.raw_vendor import LAST_CHUNK, answer, chunked

MESSAGES = [
    (answer(b"hello", b"X-A: 1"), False, b"hello"),
    (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + chunked(b"a", b"bc") + LAST_CHUNK,
        False,
        b"abc",
    ),
    (chunked(b"x" * 300) + b"0\r\nX-Trailer: 1\r\n\r\n", False, b"x" * 300),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", True, b""),
    (b"HTTP/1.1 204 No Content\r\n\r\n", False, b""),
    (answer(b"", b"Connection: close"), False, b""),
]

Seen = tuple[int, tuple[tuple[bytes, bytes], ...], bytes, bool, bool]


def read(reader: ResponseReader, pieces: list[bytes]) -> Seen:
    for piece in pieces:
        reader.feed(piece)
    body = b"".join(reader.parts)
    reader.parts.clear()
    return reader.status, tuple(reader.headers), body, reader.complete, reader.reusable


def split(raw: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    return [raw[a:b] for a, b in pairwise(edges) if a < b]


@given(
    st.lists(st.sampled_from(MESSAGES[:-1]), min_size=1, max_size=4),
    st.lists(st.integers(0, 500), max_size=10),
)
def test_any_split_and_any_sequence(
    messages: list[tuple[bytes, bool, bytes]], cuts: list[int]
) -> None:
    split_reader, byte_reader = ResponseReader(), ResponseReader()
    for raw, head_only, body in messages:
        whole = ResponseReader()
        for reader in (whole, split_reader, byte_reader):
            reader.expect(head_only=head_only)
        expected = read(whole, [raw])
        assert expected[2:] == (body, True, True)
        assert read(split_reader, split(raw, cuts)) == expected
        assert read(byte_reader, [raw[at : at + 1] for at in range(len(raw))]) == expected


def test_close_is_not_reusable() -> None:
    assert read(ResponseReader(), [MESSAGES[-1][0]])[3:] == (True, False)


@given(st.sampled_from(MESSAGES), st.sampled_from(MESSAGES))
def test_a_second_answer_never_adds_to_the_first(
    first: tuple[bytes, bool, bytes], second: tuple[bytes, bool, bytes]
) -> None:
    if first[1]:
        return  # After the answer to HEAD the parser takes what follows for its body.
    reader = ResponseReader()
    try:
        reader.feed(first[0] + second[0])
    except httptools.HttpParserError as error:
        assert reader.failure(error) is None
    assert b"".join(reader.parts) == first[2]
    assert reader.complete
    assert not reader.reusable


@given(st.binary(max_size=300))
def test_noise_is_an_error_or_unfinished(noise: bytes) -> None:
    reader = ResponseReader()
    try:
        reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + noise)
    except httptools.HttpParserError as error:
        assert reader.complete == (reader.failure(error) is None)
        assert not reader.reusable
