"""A stream is judged the same, whatever its split into pieces."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bench.verdict import StreamVerdict


def stream(numbers: list[int], *, newline: str = "\n") -> bytes:
    events = [f'{{"choices":[{{"delta":{{"content":"{number:06d} "}}}}]}}' for number in numbers]
    return "".join(f"data: {event}{newline * 2}" for event in [*events, "[DONE]"]).encode()


def judge(pieces: list[bytes], due: int) -> tuple[str | None, int]:
    verdict = StreamVerdict(due)
    for piece in pieces:
        verdict.feed(piece)
    return verdict.end(200), verdict.chunks


@given(
    cuts=st.lists(st.integers(0, 400), max_size=12),
    newline=st.sampled_from(["\n", "\r\n"]),
    case=st.sampled_from([
        ([0, 1, 2, 3], None), ([0, 2, 3], "missing_chunk"), ([0, 1, 1, 2, 3], "repeated_chunk"),
        ([0, 1, 2], "too_few_chunks"),
    ]),
)  # fmt: skip
def test_any_split_gives_the_same_verdict(
    cuts: list[int], newline: str, case: tuple[list[int], str | None]
) -> None:
    numbers, wrong = case
    data = stream(numbers, newline=newline)
    at = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(at)]
    assert judge(pieces, 4) == (wrong, len(numbers))


def test_byte_by_byte() -> None:
    data = stream([0, 1, 2])
    assert judge([data[i : i + 1] for i in range(len(data))], 3) == (None, 3)


def test_a_status_that_is_not_200_comes_first() -> None:
    assert StreamVerdict(3).end(502) == "status_502"
