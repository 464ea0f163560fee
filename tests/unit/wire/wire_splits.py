"""Every way to cut a text into pieces, as packets do."""

from itertools import pairwise

from hypothesis import strategies as st


def splits(whole: bytes) -> st.SearchStrategy[list[bytes]]:
    """Pieces, none empty, that make up `whole`."""
    if len(whole) < 2:
        return st.just([whole] if whole else [])
    cuts = st.lists(st.integers(1, len(whole) - 1), max_size=8, unique=True).map(sorted)
    return cuts.map(lambda at: [whole[a:b] for a, b in pairwise([0, *at, len(whole)])])


def bytewise(whole: bytes) -> list[bytes]:
    return [whole[at : at + 1] for at in range(len(whole))]
