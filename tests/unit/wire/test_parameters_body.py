"""Members taken out of a body, and changes undone: all other bytes stay."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.base.jsonio import loads
from proxy.wire.body import Body
from tests.examples import examples
from tests.unit.wire.test_wire_body import bodies, values


def members(raw: bytes) -> dict[str, bytes]:
    """The members and their texts: numbers may be larger than a decoder takes."""
    found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return {name: bytes(value) for name, value in found.items()}


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        (b'{"a":1}', b"{}"),
        (b'{ "a" : 1 }', b"{  }"),
        (b'{"a":1,"b":2}', b'{"b":2}'),
        (b'{ "a": 1 , "b": 2 }', b'{ "b": 2 }'),
        (b'{"b":2,"a":1}', b'{"b":2}'),
        (b'{ "b": 2 , "a": 1 }\n', b'{ "b": 2  }\n'),
        (b'{"b": 2.50,"a":{"a":1},"c":[1, 2]}', b'{"b": 2.50,"c":[1, 2]}'),
        (b'{"x":",","\\u0061":1,"c":3}', b'{"x":",","c":3}'),
        (b'{"b":2}', b'{"b":2}'),
        (b'{"z":1,"z":2,"a":1}', b'{"z":2}'),
    ],
)
def test_a_member_goes_with_one_comma(raw: bytes, left: bytes) -> None:
    body = Body(raw)
    body.remove("a")
    assert body.raw == left
    assert "a" not in body
    assert body.value("a") is None


@settings(max_examples=examples(40))
@given(bodies(), values)
def test_what_is_set_and_removed_again_leaves_no_trace(
    body: tuple[bytes, bytes, bytes], value: str
) -> None:
    raw = b"".join(body)
    parsed = Body(raw)
    if "fresh" in parsed:
        return
    parsed.set("fresh", value.encode())
    parsed.remove("fresh")
    assert members(parsed.raw) == members(raw)
    stem = raw.rstrip()[:-1].rstrip()
    assert parsed.raw.startswith(stem)


@settings(max_examples=examples(40))
@given(bodies())
def test_any_place_can_be_emptied(body: tuple[bytes, bytes, bytes]) -> None:
    raw = b"".join(body)
    parsed = Body(raw)
    parsed.remove("model")
    wanted = members(raw)
    del wanted["model"]
    assert members(parsed.raw) == wanted
    assert {name: parsed.value(name) for name in wanted} == wanted


@settings(max_examples=examples(40))
@given(bodies(), st.lists(st.sampled_from(["model", "fresh", "other"]), max_size=5), st.data())
def test_restore_undoes_everything(
    body: tuple[bytes, bytes, bytes], names: list[str], data: st.DataObject
) -> None:
    raw = b"".join(body)
    parsed = Body(raw)
    parsed.asked = (7, 1)
    mark = parsed.mark()
    for _ in range(2):  # A mark can be used again: once for each target.
        for name in names:
            if data.draw(st.booleans()):
                parsed.set(name, b'"changed"')
            else:
                parsed.remove(name)
        parsed.restore(mark)
        assert parsed.raw is raw
        assert parsed.text("model") == loads(body[1])
        assert parsed.asked == (7, 1)


def test_what_was_asked_is_read_anew_after_a_removal() -> None:
    body = Body(b'{"max_tokens":5,"n":2}')
    body.asked = (5, 2)
    body.remove("max_tokens")
    assert body.asked is None
    body.asked = (None, 2)
    body.remove("absent")
    assert body.asked == (None, 2)
