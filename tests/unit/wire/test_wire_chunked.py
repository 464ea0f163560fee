"""One whole chunk is known by its length and its two ends; all else is left to a parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.chunked import chunk, data_of


@pytest.mark.parametrize("size", [*range(1, 40), 255, 256, 257, 4000, 4086, 4087, 4095])
def test_a_chunk_is_read_as_it_was_written(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    written = chunk(data)
    assert written == f"{size:x}".encode() + b"\r\n" + data + b"\r\n"
    assert data_of(written) == (data if len(written) < 4096 else None)


def test_every_size_has_one_size_line() -> None:
    """Of so many bytes in all, two chunks of different sizes can never be."""
    whole = [len(chunk(b"x" * size)) for size in range(1, 4200)]
    assert len(set(whole)) == len(whole)


@pytest.mark.parametrize("size", [4095, 4096, 70_000, 0x12345])
def test_a_large_chunk_is_written(size: int) -> None:
    assert chunk(b"x" * size) == f"{size:x}".encode() + b"\r\n" + b"x" * size + b"\r\n"


@pytest.mark.parametrize(
    "read",
    [
        b"",
        b"\r\n",
        b"0\r\n\r\n",
        b"00\r\n\r\n",
        b"A\r\n" + b"x" * 10 + b"\r\n",
        b"0a\r\n" + b"x" * 10 + b"\r\n",
        b"a;x=y\r\n" + b"x" * 10 + b"\r\n",
        b"a \r\n" + b"x" * 10 + b"\r\n",
        b" a\r\n" + b"x" * 10 + b"\r\n",
        b"a\n" + b"x" * 10 + b"\r\n",
        b"a\r\n" + b"x" * 10 + b"\n\n",
        b"a\r\n" + b"x" * 10 + b"\r",
        b"a\r\n" + b"x" * 10,
        b"a\r\n" + b"x" * 9 + b"\r\n",
        b"a\r\n" + b"x" * 11 + b"\r\n",
        b"9\r\n" + b"x" * 10 + b"\r\n",
        b"1\r\nx\r\n1\r\ny\r\n",
        b"1\r\nx\r\n0\r\n\r\n",
        b"-1\r\nx\r\n",
        b"x\r\nxxxxxx\r\n",
    ],
)
def test_what_is_not_one_plain_chunk(read: bytes) -> None:
    assert data_of(read) is None


@given(st.binary(max_size=60))
def test_nothing_else_is_taken(read: bytes) -> None:
    data = data_of(read)
    assert data is None or chunk(data) == read
