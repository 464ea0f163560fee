"""Pictures and speech: sizes from the first bytes of a file, tokens by the vendors' formulas."""

import struct
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.usage.tokens.audio import HEARD, SPOKEN, audio_tokens
from proxy.usage.tokens.image_size import Size, size_of, size_of_data_url
from proxy.usage.tokens.images import image_tokens


def png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + b"\0" * 4


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0" * 3


def jpeg(width: int, height: int, segments: int = 1) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 40_002) + b"\xff" * 40_000
    frame = b"\xff\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\0" * 9
    return b"\xff\xd8" + exif * segments + b"\xff\xd0" + frame


def webp(kind: bytes, width: int, height: int) -> bytes:
    match kind:
        case b"VP8 ":
            body = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width | 0x4000, height)
        case b"VP8L":
            body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
        case _:
            sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
            body = b"\0" * 4 + sides
    return b"RIFF\0\0\0\0WEBP" + kind + struct.pack("<I", len(body)) + body


def data_url(head: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64," + b64encode(head).decode()


@pytest.mark.parametrize("size", [(1, 1), (1024, 768), (640, 9000)])
def test_sizes_of_every_format(size: Size) -> None:
    files = [png(*size), gif(*size), jpeg(*size), jpeg(*size, 4)]
    files += [webp(kind, *size) for kind in (b"VP8 ", b"VP8L", b"VP8X")]
    for file in files:
        assert size_of(file) == size
        assert size_of_data_url(data_url(file)) == size


def test_a_size_that_stands_too_deep_in_a_file_is_not_looked_for() -> None:
    assert size_of_data_url(data_url(jpeg(10, 10, 7), "jpeg")) is None


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,",
        "data:image/png;base64,!!!!",
        "data:image/png;base64,äöü",
        "data:image/png,abc",
        "data:image/svg+xml;base64," + b64encode(b"<svg/>").decode(),
        "data:" + "x" * 5000,
        "https://host/picture.png",
        data_url(png(0, 10)),
        data_url(png(10, 10)[:20]),
        data_url(b"\xff\xd8\xff\xe0\x00\x00"),
        data_url(b"\xff\xd8\x00"),
        data_url(b"RIFF\0\0\0\0WEBPnone"),
    ],
)
def test_no_size(url: str) -> None:
    assert size_of_data_url(url) is None


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8", b"RIFFxxxxWEBPVP8X", b""]),
       st.binary(max_size=300))  # fmt: skip
def test_nonsense_ends(start: bytes, rest: bytes) -> None:
    size = size_of(start + rest)
    assert size is None or min(size) > 0


# The examples of the vendors' documents, and what follows from their rules.
@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o", (128, 64), "high", 255),
        ("gpt-4o", (1024, 1024), None, 765),
        ("gpt-4.1", (1024, 1024), "auto", 765),
        ("gpt-4o-mini", (1024, 1024), "low", 2833),
        ("gpt-4o-mini", (1024, 1024), "high", 2833 + 4 * 5667),
        ("gpt-5", (1024, 1024), "high", 70 + 4 * 140),
        ("o1-pro", (1024, 1024), "high", 75 + 4 * 150),
        ("o3", (1024, 1024), "low", 75),
        ("gpt-4.1-mini", (1024, 1024), "high", 1659),  # 1024 patches by 1.62.
        ("gpt-4.1-mini", (1800, 2400), "low", 2353),  # 1452 patches.
        ("gpt-4.1-nano", (128, 64), "high", 20),
        ("o4-mini-2025-04-16", (32, 32), "high", 2),
        ("claude-sonnet-4-5", (1000, 1000), None, 1334),
        ("anthropic/claude-opus-4", (9000, 9000), None, 1600),
        ("gemini-2.0-flash", (384, 384), None, 258),
        ("gemini-2.0-flash", (960, 540), None, 516),
        ("somebody/else", (1024, 1024), "high", 765),
    ],
)
def test_tokens_of_pictures(model: str, size: Size, detail: str | None, tokens: int) -> None:
    assert image_tokens(model, data_url(png(*size)), detail) == tokens


@pytest.mark.parametrize("url", ["https://host/a.png", "data:image/bmp;base64,QUJD", None, 5])
def test_an_unknown_size_is_taken_for_a_usual_one(url: object) -> None:
    assert image_tokens("gpt-4o", url, "high") == 765


@given(st.sampled_from(["gpt-4o", "gpt-4.1-mini", "claude-3", "gemini-2"]),
       st.integers(1, 2**31), st.integers(1, 2**31))  # fmt: skip
def test_every_size_has_a_price(model: str, width: int, height: int) -> None:
    tokens = image_tokens(model, data_url(png(width, height)), "high")
    assert 0 < tokens <= 2**60


def wav(seconds: float, rate: int = 16_000, extra: bytes = b"") -> str:
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    samples = bytes(2) * int(rate * seconds)
    data = b"data" + struct.pack("<I", 0xFFFFFFFF) + samples  # Written as it came: no length.
    return b64encode(b"RIFF\0\0\0\0WAVE" + extra + form + data).decode()


def test_speech_counts_by_its_length() -> None:
    assert audio_tokens(wav(2), "wav", HEARD) == 20
    assert audio_tokens(wav(2, 8000), "wav", SPOKEN) == 40
    junk = b"JUNK" + struct.pack("<I", 28) + b"\0" * 28
    assert audio_tokens(wav(2, extra=junk), "wav", HEARD) in {20, 21}


def test_speech_without_a_head_counts_by_its_bytes() -> None:
    second = b64encode(b"\0" * 48_000).decode()
    assert audio_tokens(second, "pcm16", HEARD) == 10
    assert audio_tokens(b64encode(b"\xff" * 16_000).decode(), "mp3", HEARD) == 10


@pytest.mark.parametrize("nothing", [None, "", 7, [], "===="])
def test_no_speech_counts_nothing(nothing: object) -> None:
    assert audio_tokens(nothing, "wav", HEARD) <= 1


@pytest.mark.parametrize("head", [b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt ", b"RIFF"])
def test_a_broken_head_counts_by_its_bytes(head: bytes) -> None:
    body = b64encode(head + b"\0" * (48_000 - len(head))).decode()
    assert 9 <= audio_tokens(body, "wav", HEARD) <= 10
