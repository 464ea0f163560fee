"""What an answer used: the vendor's word first, then what can be seen, never nothing."""

import pytest

from proxy.wire.measure import assumed, is_billed, reported
from proxy.wire.operations import (
    CHAT,
    IMAGE_VARIATIONS,
    MODERATIONS,
    PASSTHROUGH,
    RERANK,
    SPEECH,
    TRANSLATIONS,
    Medium,
    Operation,
)  # fmt: skip
from proxy.wire.pictures import PictureTail
from proxy.wire.record import Usage
from proxy.wire.tail import Tail
from proxy.wire.usage import DetailedUsage

PICTURE = b'{"data":[{"b64_json":"aa"},{"b64_json":"bb"}]%b}'


def fed(text: bytes, tail: Tail) -> Tail:
    tail.feed(text)
    return tail


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (b"", None),
        (b',"usage":null', None),
        (b',"usage":{"cost_in_usd_ticks":5}', None),
        (b',"usage":{"input_tokens":9,"output_tokens":0}', Usage(9, images=2)),
        # Without details all that was made is the picture.
        (b',"usage":{"input_tokens":9,"output_tokens":40,"total_tokens":49}',
         DetailedUsage(9, 40, images=2, image_out=40)),
        (b',"usage":{"input_tokens":9,"output_tokens":40,"input_tokens_details":{"image_tokens":4},'
         b'"output_tokens_details":{"image_tokens":30,"text_tokens":10}}',
         DetailedUsage(9, 40, images=2, image_in=4, image_out=30)),
    ],
)  # fmt: skip
def test_usage_of_pictures(usage: bytes, expected: Usage | None) -> None:
    assert reported(fed(PICTURE % usage, PictureTail())) == expected


def test_pictures_without_usage_are_counted() -> None:
    tail = fed(PICTURE % b"", PictureTail())
    assert assumed(Medium.PICTURES, 4000, tail) == (Usage(images=2), "counted")


@pytest.mark.parametrize("medium", [Medium.PICTURES, Medium.SOUND])
def test_what_nobody_says_and_nobody_sees_is_unmeasured(medium: Medium) -> None:
    unknown = (DetailedUsage(unmeasured=1), "estimated")
    assert assumed(medium, 4000, fed(b"\x00\xff", PictureTail())) == unknown
    assert assumed(medium, 4000) == unknown


def test_text_is_estimated_by_its_bytes() -> None:
    tail = fed(b'{"content":"12345678"}', Tail())
    assert assumed(Medium.TEXT, 40, tail) == (Usage(10, 2), "estimated")
    assert assumed(Medium.TEXT, 40) == (Usage(10), "estimated")


@pytest.mark.parametrize(
    ("operation", "billed"),
    [(CHAT, True), (RERANK, True), (SPEECH, True), (TRANSLATIONS, True), (IMAGE_VARIATIONS, True),
     (MODERATIONS, False), (PASSTHROUGH, False)],
)  # fmt: skip
def test_what_is_billed(operation: Operation, billed: bool) -> None:
    assert is_billed(operation) is billed
