"""The tail: usage for any split, memory that is bounded, and what proves that a stream ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.operations import StreamEnd
from proxy.wire.tail import KEEP, Tail, is_whole, is_whole_json, lacks_only_done
from tests.unit.wire.wire_splits import bytewise, splits

USAGE = b'{"prompt_tokens": 1, "details":{"a":"}\\"{"}, "total_tokens":9}'


def fed(pieces: list[bytes]) -> Tail:
    tail = Tail()
    for piece in pieces:
        tail.feed(piece)
    return tail


@given(st.data())
def test_usage_is_found_for_any_split(data: st.DataObject) -> None:
    whole = b'data: {"usage":null}\n\ndata: {"choices":[],"usage" : ' + USAGE + b"}\n\ndata: [DONE]"
    assert fed(data.draw(splits(whole))).usage() == USAGE


def test_usage_is_found_bytewise_behind_much_else() -> None:
    whole = b"x" * 3 * KEEP + b'"usage":' + USAGE + b"}"
    tail = fed(bytewise(whole))
    assert tail.usage() == USAGE
    assert tail.total == len(whole)


@pytest.mark.parametrize(
    ("text", "usage"),
    [
        (b"", None),
        (b'{"usage":null}', None),
        (b'{"usage":{"a":1}', b'{"a":1}'),
        (b'{"usage":{"a":{"b":1}', None),
        (b'{"usage":{"a":"}', None),
        (b'{"usage":{"a":1},"usage":{"a":2}}', b'{"a":2}'),
        (b'{"usage":{"a":1}} {"usage":null}', b'{"a":1}'),
        (b'{"content":"\\"usage\\":{\\"a\\":1}"}', None),
        # Cohere: in `meta`, behind whatever documents say of themselves; in `usage` since v2.
        (
            b'{"results":[{"document":{"usage":{"total_tokens":1}}}],"meta":{"api_version":{},'
            b'"billed_units":{"search_units":2},"tokens":{}}}',
            b'{"billed_units":{"search_units":2}}',
        ),
        (
            b'{"usage":{"billed_units":{"input_tokens":5},"tokens":{"input_tokens":9}}}',
            b'{"billed_units":{"input_tokens":5},"tokens":{"input_tokens":9}}',
        ),
        (b'{"meta":{"billed_units":null}}', None),
        (b'{"meta":{"billed_units":{"search_units":2', None),
        (b'{"text":"\\"billed_units\\":{}"}', None),
    ],
)
def test_usage_table(text: bytes, usage: bytes | None) -> None:
    assert fed([text]).usage() == usage


@given(st.lists(st.integers(0, 3 * KEEP), max_size=60))
def test_memory_is_bounded_and_the_end_is_kept(sizes: list[int]) -> None:
    tail = Tail()
    whole = b""
    for number, size in enumerate(sizes):
        piece = bytes([number]) * size
        whole += piece
        tail.feed(piece)
        kept = tail.last()
        assert whole.endswith(kept)
        assert len(kept) >= min(KEEP, len(whole))
        assert len(kept) < KEEP + max(sizes)
    assert tail.total == len(whole)


def test_large_pieces_behind_many_small_ones_do_not_pile_up() -> None:
    tail = fed([b"x"] * KEEP)
    for _ in range(100):
        tail.feed(b"y" * KEEP)
    assert len(tail.last()) < 2 * KEEP


def test_many_empty_pieces_do_not_pile_up_behind_a_full_tail() -> None:
    tail = fed([b"x" * KEEP, *[b""] * 10_000])
    assert len(tail.last()) == KEEP


END = StreamEnd
OPENROUTER = (
    b'data: {"id":"c","error":{"code":502,"message":"m"},"choices":[{"index":0,"delta":'
    b'{"content":""},"finish_reason":"error"}]}\n\n'
)
WHOLE = [
    (END.DONE, b"data: [DONE]\n\n"),
    (END.DONE, b'data: {"choices":[]}\n\ndata: [DONE]'),
    (END.DONE, b"x\r\n\r\ndata:[DONE]\r\n\r\n"),
    (END.DONE, b"x\r\rdata: [DONE]\r\r"),
    (END.DONE, b'data: {"error":{"message":"m"}}\n\n'),
    (END.DONE, b'x\n\ndata: { "error" : "words"}\n\n'),
    (END.DONE, b"x\n\nevent: error\ndata: {}\n\n"),
    (END.DONE, b'half":"a"}]}\n\n' + OPENROUTER),
    (END.DONE, b'data: {"error":{"message":"cut sh'),
    (END.RESPONSE, b'event: response.completed\ndata: {"type":"response.completed"}\n\n'),
    (END.RESPONSE, b'data: {"response":{},"type" : "response.failed"}\n\n'),
    (END.RESPONSE, b'data: {"type":"response.incomplete"}\n\n'),
    (END.RESPONSE, b'data: {"type":"response.cancelled"}\n\n'),
    (END.RESPONSE, b'event: error\ndata: {"type":"error","code":"x"}\n\n'),
    (END.RESPONSE, b'xxx","output":[{}],"usage":{"total_tokens":1},"user":null}}\n\n'),
    (END.FRAMING, b""),
    (END.FRAMING, b"anything"),
]
CUT = [
    (END.DONE, b""),
    (END.DONE, b'data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}\n\n'),
    (END.DONE, b'data: {"choices":[{"delta":{"content":"\\ndata: [DONE]"}}]}\n\n'),
    (END.DONE, b'data: {"choices":[],"error":null}\n\n'),
    (END.DONE, b'data: {"error":null}\n\n'),
    (
        END.DONE,
        b'data: {"choices":[{"delta":{"content":"\\"error\\":{\\"code\\":1}"}}],"error":""}\n\n',
    ),
    (END.DONE, b'data: {"choices":[{"delta":{"error":{"code":1}}}]}\n\n'),
    (END.DONE, b"data: [DON"),
    (END.RESPONSE, b""),
    (END.RESPONSE, b"data: [DONE]\n\n"),
    (END.RESPONSE, b'event: response.completed\ndata: {"ty'),
    (END.RESPONSE, b'data: {"type":"response.output_text.done"}\n\n'),
    (END.RESPONSE, b'xxx","output":[{}],"usage":{"total_tokens":1},"us'),
    (END.RESPONSE, b'xxx","output":[{}],"usage":null,"user":null}}\n\n'),
    (END.RESPONSE, b'x","usage":{"a":1}}\n\ndata: {"type":"response.in_progress"}\n\n'),
]


@pytest.mark.parametrize(("end", "tail"), WHOLE)
def test_whole(end: StreamEnd, tail: bytes) -> None:
    assert is_whole(tail, end)


@pytest.mark.parametrize(("end", "tail"), CUT)
def test_cut(end: StreamEnd, tail: bytes) -> None:
    assert not is_whole(tail, end)


@pytest.mark.parametrize("kind", [b"completed", b"incomplete"])
def test_a_last_event_larger_than_the_tail_is_an_end(kind: bytes) -> None:
    event = b'data: {"type":"response.%b","response":{"status":"completed","output":[' % kind
    event += (
        b'{"text":"' + b"long " * 20_000 + b'"}],"usage":{"total_tokens":3},"metadata":{}}}\n\n'
    )
    pieces = [event[at : at + 4096] for at in range(0, len(event), 4096)]
    before = b'data: {"type":"response.output_text.delta","delta":"x"}\n\n'
    assert is_whole(fed([before, *pieces]).last(), END.RESPONSE)
    assert not is_whole(fed([before, *pieces[:-1]]).last(), END.RESPONSE)


@pytest.mark.parametrize(
    ("tail", "lacks"),
    [
        (b'{"choices":[{"finish_reason":"stop"}]}\n\n', True),
        (b'{"choices":[{"finish_reason" : "length"}]}\n\n', True),
        (b'{"choices":[{"finish_reason":null}]}\n\n', False),
        (b'{"finish_reason":null}\n\n{"finish_reason":"stop"}\n\n', True),
        (b'{"finish_reason":"stop"}\n\n{"finish_reason": null}\n\n', False),
        (b"", False),
    ],
)
def test_lacks_only_done(tail: bytes, lacks: bool) -> None:
    assert lacks_only_done(tail) is lacks


@pytest.mark.parametrize(
    ("body", "framed", "unframed"),
    [
        (b'{"a":1}', True, True),
        (b' \n[{"a":1}]\r\n', True, True),
        (b'{"a":[1,2]', False, False),
        (b'{"a":{"b":1}', True, False),
        (b'[{"a":1}', False, False),
        (b'{"a":"}', True, False),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, True, False, id="deep"),
        (b"plain words", True, True),
        (b"", True, True),
    ],
)
def test_whole_json(body: bytes, framed: bool, unframed: bool) -> None:
    assert is_whole_json(body, framed=True) is framed
    assert is_whole_json(body, framed=False) is unframed
