"""Whatever is cut off a JSON text, what is left is JSON, and says that it was cut."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base import jsonio
from proxy.wire.cut_json import MARK, cut_json, cut_text

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


def escaped(value: Any) -> bytes:
    """The same JSON as other clients write it: ASCII only."""
    text = jsonio.dumps(value).decode()
    return "".join(
        each if each.isascii() else "".join(f"\\u{unit:04x}" for unit in units(each))
        for each in text
    ).encode()


def units(character: str) -> list[int]:
    raw = character.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


@given(trees)
def test_every_beginning_is_mended(tree: Any) -> None:
    for raw in (jsonio.dumps(tree), escaped(tree)):
        for limit in range(1, len(raw)):
            cut = cut_json(raw, limit)
            jsonio.loads(cut)  # Raises unless it is JSON.
            assert MARK in cut


@given(trees)
def test_what_fits_is_left_alone(tree: Any) -> None:
    raw = jsonio.dumps(tree)
    assert cut_json(raw, len(raw)) == raw.decode()


@pytest.mark.parametrize(
    ("raw", "limit", "cut"),
    [
        ('{"messages":[{"role":"user","content":"hello"}]}', 40,
         '{"messages":[{"role":"user","content":"h…"}]}'),
        ('{"a":"grün"}', 9, '{"a":"gr…"}'),
        (r'{"a":"x\u00fc"}', 10, '{"a":"x…"}'),
        (r'{"a":"x\\u0"}', 10, r'{"a":"x\\u…"}'),
        (r'{"a":"\ud83d\ude00"}', 16, '{"a":"…"}'),
        ('{"abc":1}', 4, '{"…":null}'),
        ('{"a":12,"b":3}', 10, '{"a":12,"…":null}'),
        ('["a","b","c"]', 8, '["a","b","…"]'),
        ('[1,2,3]', 4, '["…"]'),
        ('{"a":{}}', 5, '{"a":null,"…":null}'),
    ],
)  # fmt: skip
def test_where_it_is_cut(raw: str, limit: int, cut: str) -> None:
    assert cut_json(raw.encode(), limit) == cut


def test_a_beginning_is_mended_though_it_fits() -> None:
    assert cut_json(b'{"a":["b', 100, whole=False) == '{"a":["b…"]}'


def test_text_is_cut_between_characters() -> None:
    assert cut_text("grün".encode(), 3) == "gr…"
    assert cut_text("grün".encode(), 5) == "grün"
