"""Event framing: whole events go on, in any split, unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.sse import HOLD, WholeEvents, WithoutUsage, end_of_events, split
from tests.unit.wire.wire_splits import splits

BREAKS = [b"\n", b"\r\n", b"\r"]
USAGE = b'data: {"choices":[],"usage":{"total_tokens":3}}'
CHUNK = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}'
LAST = b'data: {"choices":[{"finish_reason":"stop"}],"usage":{"total_tokens":3}}'
DONE = b"data: [DONE]"

lines = st.binary(max_size=30).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b""))
events = st.lists(lines.filter(bool), min_size=1, max_size=3)
streams = st.tuples(st.lists(events, max_size=6), st.sampled_from(BREAKS)).map(
    lambda drawn: [b"".join(line + drawn[1] for line in event) + drawn[1] for event in drawn[0]]
)


def ran(decoder: WholeEvents, pieces: list[bytes]) -> list[bytes]:
    return [*(decoder.feed(piece) for piece in pieces), decoder.finish()]


@given(streams, lines, st.data())
def test_any_split_gives_the_same_bytes(
    stream: list[bytes], rest: bytes, data: st.DataObject
) -> None:
    whole = b"".join(stream) + rest
    for decoder in (WholeEvents(), WithoutUsage()):
        assert b"".join(ran(decoder, data.draw(splits(whole)))) == whole


@given(streams, lines, st.data())
def test_only_whole_events_go_on(stream: list[bytes], rest: bytes, data: st.DataObject) -> None:
    whole = b"".join(stream) + rest
    ends = {len(b"".join(stream[:count])) for count in range(len(stream) + 1)}
    decoder, passed, seen = WholeEvents(), 0, 0
    for piece in data.draw(splits(whole)):
        seen += len(piece)
        passed += len(decoder.feed(piece))
        assert passed == max(end for end in ends if end <= seen)
        assert not decoder.inside


@pytest.mark.parametrize("br", BREAKS)
def test_events_go_on_in_the_turn_they_are_whole(br: bytes) -> None:
    decoder = WholeEvents()
    one = CHUNK + br + br
    assert decoder.feed(one) is one
    assert decoder.feed(one + b"data: ha") == one
    assert decoder.feed(b"lf" + br) == b""
    assert decoder.feed(br) == b"data: half" + br + br


def test_a_huge_event_is_passed_on_as_it_comes() -> None:
    decoder = WholeEvents()
    piece = b"data: " + b"x" * (HOLD // 2)
    assert decoder.feed(piece) == b""
    assert decoder.feed(b"x" * HOLD) == piece + b"x" * HOLD
    assert decoder.inside
    assert decoder.feed(b"end\n\n") == b"end\n\n"
    assert not decoder.inside


def test_after_a_huge_event_the_rest_is_held_again() -> None:
    decoder = WholeEvents()
    decoder.feed(b"x" * (HOLD + 1))
    assert decoder.feed(b"end\n\ndata: y") == b"end\n\n"
    assert not decoder.inside
    assert decoder.finish() == b"data: y"


@pytest.mark.parametrize("br", BREAKS)
@pytest.mark.parametrize("name", [b"", b"event: message"])
def test_only_the_usage_event_is_dropped(br: bytes, name: bytes) -> None:
    def event(text: bytes) -> bytes:
        return (name + br if name else b"") + text + br + br

    stream = [event(text) for text in (CHUNK, CHUNK, LAST, USAGE, DONE)]
    whole = b"".join(stream)
    wanted = b"".join(stream[:3] + stream[4:])
    for pieces in ([whole], [whole[at : at + 1] for at in range(len(whole))], stream):
        assert b"".join(ran(WithoutUsage(), pieces)) == wanted


@pytest.mark.parametrize(
    "event",
    [
        CHUNK,
        LAST,
        b'data: {"choices":[],"prompt_filter_results":[]}',
        b'data: {"choices":[],"usage":null}',
        b'data: {"choices":[{"delta":{"content":"\\"usage\\": {\\"choices\\":[]}"}}]}',
        b": comment",
    ],
)
def test_what_looks_like_it_stays(event: bytes) -> None:
    assert WithoutUsage().feed(event + b"\n\n") == event + b"\n\n"


@pytest.mark.parametrize(
    "event",
    [
        b'data:{"usage" : { "a":1 } , "choices" : [ ] }',
        b'data: {"id":"x","choices":[\n],\ndata: "usage":{}}',
    ],
)
def test_the_usage_event_in_other_spellings_goes(event: bytes) -> None:
    assert WithoutUsage().feed(event + b"\n\n") == b""


def test_null_beside_the_usage_event_hides_nothing() -> None:
    """OpenAI says `null` in each chunk before it; others say more than once."""
    null = CHUNK + b"\n\n"
    event = USAGE + b"\n\n"
    assert WithoutUsage().feed(event + null) == null
    assert WithoutUsage().feed(null + event) == null
    assert WithoutUsage().feed(null + null + null) == null * 3
    assert WithoutUsage().feed(b'data: {"choices":[],"usage":{},"x":{"usage":null}}\n\n') == b""


def test_the_usage_event_without_its_blank_line_goes_at_the_end() -> None:
    decoder = WithoutUsage()
    assert decoder.feed(CHUNK + b"\n\n" + USAGE) == CHUNK + b"\n\n"
    assert decoder.finish() == b""
    assert decoder.finish() == b""


@given(streams, lines)
def test_split_and_end_agree(stream: list[bytes], rest: bytes) -> None:
    whole = b"".join(stream) + rest
    assert split(whole) == [*stream, rest] if rest else split(whole) == stream
    assert end_of_events(whole) == len(whole) - len(rest)
