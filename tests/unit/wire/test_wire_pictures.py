"""Pictures are counted for any split, and memory stays that of a tail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.pictures import PictureTail
from proxy.wire.tail import KEEP, Tail
from tests.unit.wire.wire_splits import bytewise, splits

PART = b'data: {"type":"image_generation.partial_image","b64_json":"aaaa"}\n\n'
ANSWERS = [
    (b'{"created":1,"data":[{"url":"https://a/1"},{"url":"https://a/2"}]}', 2),
    (b'{"data":[{"b64_json":"aaaa","revised_prompt":"a \\"url\\": \\"b64_json\\""}]}', 1),
    (b'{"data":[{"b64_json":null,"url":"https://a/1"},{"b64_json":null,"url":"https://a/2"}]}', 2),
    (b'{"data": [{ "b64_json" : "aa" } , {"b64_json":"bb"},\n {"b64_json":"cc"}]}', 3),
    (2 * PART + b'data: {"type":"image_generation.completed","b64_json":"bbbb"}\n\n', 1),
    (2 * PART, 0),  # Cut: nobody got a picture.
    (b'{"data":[]}', 0),
    (b"", 0),
]


def counted(pieces: list[bytes]) -> int:
    tail = PictureTail()
    for piece in pieces:
        tail.feed(piece)
    return tail.pictures


@pytest.mark.parametrize(("answer", "number"), ANSWERS)
def test_pictures_are_counted_whole_and_bytewise(answer: bytes, number: int) -> None:
    assert counted([answer]) == counted(bytewise(answer)) == number


@given(st.data(), st.sampled_from(ANSWERS))
def test_pictures_are_counted_for_any_split(data: st.DataObject, given_: tuple[bytes, int]) -> None:
    answer, number = given_
    assert counted(data.draw(splits(answer))) == number


def test_large_pictures_are_counted_and_not_kept() -> None:
    tail = PictureTail()
    tail.feed(b'{"data":[')
    for _ in range(4):
        tail.feed(b'{"b64_json":"')
        for _ in range(50):
            tail.feed(b"A" * KEEP)
        tail.feed(b'"},')
    assert tail.pictures == 4
    assert len(tail.last()) < 2 * KEEP


def test_other_answers_are_not_looked_through() -> None:
    tail = Tail()
    tail.feed(ANSWERS[0][0])
    assert tail.pictures == 0
