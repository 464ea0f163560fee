"""Keys, ids and cursors, without a store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.admin.documents import merged
from proxy.admin.key_material import again, is_id, new_id, new_key
from proxy.admin.paging import cursor, place
from proxy.base.errors import BadRequest
from proxy.base.secret import Secret

SEED = bytes(range(32))


def test_ids_are_ids_and_keys_are_long() -> None:
    ids = {new_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(map(is_id, ids))
    assert not any(map(is_id, ("", "key_", "key_" + "u" * 26, f"{new_id()}0", f"{new_id()}\n")))
    keys = {new_key().reveal() for _ in range(50)}
    assert len(keys) == 50
    assert all(key.startswith("sk-") and len(key) == 46 for key in keys)


def test_a_key_is_made_again_from_the_same_four_things_only() -> None:
    admin = Secret("admin")
    key = again(SEED, admin, "key_1", "once")
    assert again(SEED, admin, "key_1", "once") == key
    others = [
        again(bytes(32), admin, "key_1", "once"),
        again(SEED, Secret("other"), "key_1", "once"),
        again(SEED, admin, "key_2", "once"),
        again(SEED, admin, "key_1", "twice"),
        again(SEED, Secret("adminkey_1"), "", "once"),
    ]
    assert key not in others
    assert len({other.reveal() for other in others}) == len(others)


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")), st.integers(0, 2**63 - 1))
def test_a_cursor_leads_back(text: str, number: int) -> None:
    assert place("a", cursor("a", (text, number)), str, int) == (text, number)


@given(st.text())
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        place("a", text, str)


@pytest.mark.parametrize(
    "wrong", [cursor("b", ("x",)), cursor("a", (1,)), cursor("a", ("x", "y")), cursor("a", ("\0",))]
)
def test_a_cursor_of_something_else_is_refused(wrong: str) -> None:
    with pytest.raises(BadRequest):
        place("a", wrong, str)


def test_numbers_that_no_store_counts_to_are_refused() -> None:
    for number in (-1, 2**63):
        with pytest.raises(BadRequest):
            place("a", cursor("a", (number,)), int)


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_is_that_of_rfc_7396(
    document: dict[str, object], patch: dict[str, object], result: dict[str, object]
) -> None:
    assert merged(document, patch) == result
