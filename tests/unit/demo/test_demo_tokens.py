"""The declared token count agrees with cutting and with telling in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.demo.tokens import count, head, pieces

TEXTS = st.text(alphabet=st.sampled_from(list("abcdefgh é\n\t\u2003")), max_size=200)


def test_counts() -> None:
    assert [count(text) for text in ("", " ", "a", "four", "fives", "a b", "  word word ")] == [
        *(0, 0, 1, 1, 2, 2, 2),
    ]


@given(TEXTS)
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


@given(TEXTS, st.integers(1, 60))
def test_head_is_exact(text: str, limit: int) -> None:
    kept = head(text, limit)
    assert text.startswith(kept)
    assert count(kept) == min(limit, count(text))
    assert (kept == text) == (count(text) <= limit)
