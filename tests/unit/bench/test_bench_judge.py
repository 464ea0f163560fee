"""Answers are judged the same, whatever their split, and whoever gave them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import answers
from bench.harness.judge import PlainJudge, StreamJudge

DONE = b"data: [DONE]\n\n"
OTHERS = [
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\n',
    b': a comment\n\ndata: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
]


def unframed(frames: list[bytes]) -> list[bytes]:
    """The events of chunked frames."""
    return [frame.split(b"\r\n", 1)[1].removesuffix(b"\r\n") for frame in frames]


TEXT = unframed(answers.Frames().up_to(4, more=30))[:4]
CALL = unframed(answers.Frames().up_to(4, tools=True))[:4]
CASES = [
    ([*TEXT, DONE], None, 4),
    ([*CALL, DONE], None, 4),
    ([*OTHERS, DONE], None, 3),
    ([TEXT[0], *TEXT[2:], DONE], "missing_chunk", 3),
    ([CALL[0], CALL[1], *CALL[1:], DONE], "repeated_chunk", 5),
    ([*TEXT], "no_done", 4),
    ([*OTHERS], "no_done", 3),
    ([DONE], "no_chunk", 0),
    ([*TEXT[:2], b'data: {"error":{"message":"x"}}\n\n', DONE], "error_event", 2),
    ([OTHERS[0], b"event: error\ndata: {}\n\n"], "error_event", 2),
]


def judge(pieces: list[bytes]) -> tuple[str | None, int]:
    made = StreamJudge()
    for piece in pieces:
        made.feed(piece)
    return made.end(200), made.chunks


@given(cuts=st.lists(st.integers(0, 1500), max_size=12), case=st.sampled_from(CASES))
def test_any_split_gives_the_same_verdict(
    cuts: list[int], case: tuple[list[bytes], str | None, int]
) -> None:
    events, wrong, chunks = case
    data = b"".join(events)
    at = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert judge([data[a:b] for a, b in pairwise(at)]) == (wrong, chunks)


@pytest.mark.parametrize(("events", "wrong", "chunks"), CASES)
def test_byte_by_byte(events: list[bytes], wrong: str | None, chunks: int) -> None:
    data = b"".join(events)
    assert judge([data[i : i + 1] for i in range(len(data))]) == (wrong, chunks)


def test_a_status_that_is_not_200_comes_first() -> None:
    assert StreamJudge().end(429) == "status_429"
    assert PlainJudge("choices", set()).end(502) == "status_502"


@pytest.mark.parametrize(
    ("body", "member", "wrong"),
    [
        (answers.CHAT_BODY, "choices", None),
        (answers.TOOLS_BODY, "choices", None),
        (answers.EMBEDDING_BODY, "data", None),
        (answers.CHAT_BODY, "data", "other_kind"),
        (answers.CHAT_BODY[:-1], "choices", "not_json"),
        (b"", "choices", "not_json"),
        (b"[]", "choices", "other_kind"),
        (b'{"choices":[]}', "choices", "other_kind"),
    ],
)
def test_plain_answers(body: bytes, member: str, wrong: str | None) -> None:
    known: set[bytes] = set()
    for _ in range(2):  # The second time from what is known.
        made = PlainJudge(member, known)
        made.feed(body[:10])
        made.feed(body[10:])
        assert made.end(200) == wrong
    assert known == ({body} if wrong is None else set())
