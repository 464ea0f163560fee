"""Usual records for tests: lots of any standing, of numbers and ids that are easy to get wrong."""

import msgspec
from hypothesis import strategies as st

from proxy.wire.brief import Brief, Numbers, Standing
from proxy.wire.lots import Lot

AT = 1_763_640_000_000_000
"""2025-11-20 12:00 UTC, in microseconds."""
HOUR = 3_600_000_000

WORDS = st.sampled_from(["", "main", "gpt-4o", "fast", "ü", "50%", 'q"\\', "x" * 130])
MAYBE = st.none() | WORDS
COUNTS = st.sampled_from([0, 1, 2, 127, 128, 0xFFF, 0x1000, 70_000, 3_000_000, 1 << 40, -1])
HEX = "0123456789abcdef"


def _id(length: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**length - 1).map(lambda number: f"{number:0{length}x}")


def _odd(length: int) -> st.SearchStrategy[str | None]:
    spaced = " " * 2 + "a" * (length - 2)
    wrong = ("", "0" * length, "g" * length, "a" * (length - 2), "ab " * 9, "ä" * length, spaced)
    return st.sampled_from([None, *wrong, "A" * length])


STANDINGS = st.builds(
    Standing,
    worker=WORDS,
    config=WORDS,
    operation=st.sampled_from(["chat", "embeddings", "rerank", "models"]),
    provider=WORDS,
    target=WORDS,
    key=WORDS,
    **dict.fromkeys(("team", "user", "project", "model", "route", "rule", "via", "prices"), MAYBE),
    stream=st.booleans(),
)
NUMBERS = st.tuples(
    st.sampled_from(["req_1", "req_" + "a" * 32, "", "ü", 'q"', "x" * 700]),
    st.integers(AT, AT + 2 * HOUR) | st.just(0),
    *[COUNTS] * 13,
    _id(16) | _odd(16),
    _id(32) | _odd(32),
    _id(16) | _odd(16),
    st.none() | _id(16) | _odd(16),
).map(lambda parts: msgspec.convert(parts, Numbers))
LOTS = st.builds(Lot, STANDINGS, st.lists(NUMBERS, min_size=1, max_size=6))

_STARTED = st.sampled_from([0, 1, 150, 70_000])
_MORE = COUNTS | st.integers(0, 100_000)
WELL_FORMED = st.tuples(
    st.sampled_from(["req_1", "req_" + "a" * 32, "ü", 'q"', "x" * 700]),
    st.integers(AT, AT + 2 * HOUR) | st.just(0),
    st.integers(70_000, 1 << 40),
    *[_MORE] * 6,
    _STARTED,
    *[_MORE] * 5,
    _id(16),
    _id(32),
    _id(16),
    st.none() | _id(16),
).map(lambda parts: msgspec.convert(parts, Numbers))
"""Nothing is wrong with their ids and times."""


def briefs(lot: Lot) -> list[Brief]:
    """Its records, as a reader gives them."""
    return [Brief(lot.standing, each) for each in lot.numbers]


def numbers(number: int, **changes: object) -> Numbers:
    """Those of a usual request, different for each number."""
    made = Numbers(
        id=f"req_{number:032x}",
        at=AT + number,
        done=90_000 + number,
        bytes_in=1024,
        bytes_out=873,
        arrived=20,
        admitted=110,
        first_token=89_000,
        overhead=130,
        started=150,
        head=88_000,
        input=9 + number,
        output=4,
        cost=13_000 + number,
        cost_input=9_000 + number,
        attempt=f"{number + 1:016x}",
        trace=f"{number + 1:032x}",
        span=f"{number + 1001:016x}",
    )
    return msgspec.structs.replace(made, **changes)


STANDING = Standing(
    worker="worker-0",
    config="abc123",
    operation="chat",
    provider="main",
    target="gpt-4o",
    key="alice",
    team="blue",
    model="fast",
    route="fast",
    prices="v1",
)
