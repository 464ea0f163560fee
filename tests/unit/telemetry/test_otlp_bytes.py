"""What we write by hand against protobuf's own library, which reads it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from proxy.telemetry.attributes import LONGEST, Value, fill
from proxy.telemetry.otlp_bytes import Name, attribute, attributes, int64, utf8
from tests.examples import examples

MOST = (1 << 63) - 1
INTEGERS = st.integers(-(1 << 63), MOST) | st.sampled_from(
    [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 1 << 35, MOST, -1, -(1 << 63)]
)
TEXTS = st.text() | st.integers(0, 300).map(lambda length: "ü" * length)
VALUES = (
    st.none()
    | TEXTS
    | st.booleans()
    | INTEGERS
    | st.floats(allow_nan=False)
    | st.lists(TEXTS).map(tuple)
)
NAMES = st.text(min_size=1, max_size=200)


def filled(found: dict[str, Value]) -> Span:
    span = Span()
    fill(span.attributes, found)
    return span


@settings(max_examples=examples(200))
@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_attributes_are_those_that_protobuf_writes(found: dict[str, Value]) -> None:
    assert attributes(found) == filled(found).SerializeToString()


@settings(max_examples=examples(200))
@given(st.text("abc._", min_size=1, max_size=100), TEXTS, INTEGERS, st.floats(allow_nan=False))
def test_a_name_writes_the_same(name: str, text: str, number: int, real: float) -> None:
    known = Name(name)
    assert known.text(utf8(text)) == attribute(name, text)
    assert known.whole(int64(number)) == attribute(name, number)
    assert known.real(real) == attribute(name, real)


@pytest.mark.parametrize("length", range(40, 140))
def test_lengths_around_one_byte(length: int) -> None:
    text = "x" * length
    assert Name("n" * 20).text(utf8(text)) == filled({"n" * 20: text}).SerializeToString()


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1 << 70])
def test_integers_beyond_64_bits_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="64"):
        attribute("n", number)


@pytest.mark.parametrize("text", ["a\ud800b", "x" * (LONGEST + 1), "ü" * (LONGEST + 1), "\0"])
def test_texts_that_cannot_be_told_as_they_are(text: str) -> None:
    assert attribute("n", text) == filled({"n": text}).SerializeToString()
    assert Name("n").text(utf8(text)) == attribute("n", text)


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        Name("n" * 101)
