"""A second stream becomes the rest of the first one, however its bytes are cut."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.errors import BadRequest, Malformed, UpstreamError
from proxy.base.jsonio import dumps, loads
from proxy.wire.body import Body
from proxy.wire.continuation import (
    SURELY_REPEATED,
    Diverged,
    Prefilled,
    Repeated,
    Sent,
    prefill_body,
    rescue_event,
)
from proxy.wire.continuation_sent import data_of
from proxy.wire.errors import event as error_event
from proxy.wire.sse import HOLD, split
from tests.unit.wire.wire_splits import bytewise, splits

TEXT = "Once upon a time there was a proxy."
DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"id":"two","created":2,"model":"n","choices":[],"usage":{"total_tokens":3}}\n\n'


def first(text: str) -> Sent:
    """The first vendor's stream, cut behind this text."""
    sent = Sent()
    for delta in ({"role": "assistant", "content": ""}, {"content": text}):
        sent.feed(_chunk(delta, None, id="one", created=1, model="m"))
    return sent


def _chunk(delta: object, finish: str | None, **frame: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return b"data: " + dumps({**frame, "choices": [choice], "usage": None}) + b"\n\n"


def chunk(delta: object, finish: str | None = None) -> bytes:
    """An event of the second vendor."""
    return _chunk(delta, finish, id="two", created=2, model="n", system_fingerprint="f")


def second(*words: str, finish: str = "stop") -> bytes:
    """Its whole stream."""
    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": word}) for word in words]
    return b"".join([*events, chunk({}, finish), USAGE, DONE])


def ran(decoder: Prefilled | Repeated, pieces: Sequence[bytes]) -> bytes:
    return b"".join([*(decoder.feed(piece) for piece in pieces), decoder.finish()])


def read(stream: bytes) -> list[dict[str, Any]]:
    assert stream.endswith(DONE)
    assert stream.count(b"[DONE]") == 1
    found = [data_of(event) for event in split(stream)[:-1]]
    return [loads(data) for data in found if data is not None]


def words(stream: bytes) -> str:
    chunks = read(stream)
    said = [each["choices"][0]["delta"].get("content") for each in chunks if each["choices"]]
    return "".join(word for word in said if word)


def is_one_answer(stream: bytes) -> None:
    chunks = read(stream)
    assert {(each["id"], each["created"], each["model"]) for each in chunks} == {("one", 1, "n")}
    assert not any("role" in each["choices"][0]["delta"] for each in chunks if each["choices"])
    assert chunks[-1]["usage"] == {"total_tokens": 3}
    assert [each["choices"][0]["finish_reason"] for each in chunks[:-1]][-1] == "stop"
    assert all(words(b"data: " + dumps(each) + b"\n\n" + DONE) for each in chunks[:-2])


CONTINUED = [
    ("Once upon", [" a", " time."], " a time."),
    ("Once upon a ", [" time", "."], "time."),
    ("Once upon a ", ["time", "."], "time."),
    ("Once\n\n", ["\n", "\n\nupon"], "\nupon"),
    (TEXT, [TEXT, " The end."], " The end."),
    (TEXT, [TEXT + " The end."], " The end."),
    (TEXT, [*TEXT, " The", " end."], " The end."),
    (TEXT, ["Once upon", " a mattress."], "Once upon a mattress."),
    (TEXT, ["Once upon"], "Once upon"),
    (TEXT + "\n", [TEXT, "\n", "\nThe end."], "\nThe end."),
    (TEXT + " ", [TEXT], ""),
    ("ha", ["ha", "ha"], "haha"),
    (TEXT, ["  ", TEXT], "  " + TEXT),
    ("x" * SURELY_REPEATED, ["x" * SURELY_REPEATED, "x"], "x"),
    ("ä😀" * 10, ["ä😀" * 5, "ä😀" * 5 + "é"], "é"),
]


@pytest.mark.parametrize(("sent", "told", "expected"), CONTINUED)
@pytest.mark.parametrize("cut", [lambda whole: [whole], bytewise, split])
def test_a_prefilled_answer_goes_on(
    sent: str, told: list[str], expected: str, cut: Callable[[bytes], list[bytes]]
) -> None:
    whole = second(*told)
    stream = ran(Prefilled(first(sent)), cut(whole))
    assert words(stream) == expected
    is_one_answer(stream)


REPEATED = [
    ("Once", ["Once", " upon"], " upon"),
    ("Once", ["Once upon"], " upon"),
    ("Once", ["On", "", "ce up", "on"], " upon"),
    ("Once", ["Once"], ""),
    ("", ["Once", " upon"], "Once upon"),
    ("ä😀", ["ä", "😀é"], "é"),
    ("ha", ["ha", "ha"], "ha"),
]


@pytest.mark.parametrize(("sent", "told", "expected"), REPEATED)
@pytest.mark.parametrize("cut", [lambda whole: [whole], bytewise, split])
def test_a_restarted_answer_is_passed_on_from_where_it_is_new(
    sent: str, told: list[str], expected: str, cut: Callable[[bytes], list[bytes]]
) -> None:
    decoder = Repeated(first(sent))
    stream = ran(decoder, cut(second(*told)))
    assert words(stream) == expected
    assert decoder.repeated
    is_one_answer(stream)


DIVERGED = {
    "other words": second("Once upon a mattress"),
    "other words at once": second("Twice"),
    "less": second("Once upon"),
    "nothing": second(),
    "no end": chunk({"content": "Once upon"}),
    "done only": DONE,
    "nothing at all": b"",
    "a tool": chunk({"tool_calls": [{"index": 0, "id": "a"}]}),
    "a tool on the way": chunk({"content": "Once", "tool_calls": [{"index": 0}]}),
    "a refusal": chunk({"refusal": "I"}),
    "a part": chunk({"content": [{"type": "text", "text": "Once"}]}),
    "case": second(TEXT.upper()),
    "white space": second(" " + TEXT),
}


@pytest.mark.parametrize("told", DIVERGED.values(), ids=DIVERGED)
def test_another_answer_ends_the_attempt_before_a_word_of_it(told: bytes) -> None:
    for pieces in ([told] if told else [], bytewise(told)):
        decoder = Repeated(first(TEXT))
        went = b""
        with pytest.raises(Diverged) as caught:
            for piece in pieces:
                went += decoder.feed(piece)
            decoder.finish()
        assert went == b""
        assert isinstance(caught.value, UpstreamError)


@pytest.mark.parametrize(
    "event",
    [
        chunk({"content": "Once", "tool_calls": [{"index": 0}]}),
        chunk({"refusal": "I"}),
        chunk({"content": "Once upon"}, "length"),
        chunk({}, "content_filter"),
        chunk({"content": "Twice"}),
    ],
)
def test_it_is_given_up_in_the_turn_that_it_is_clear(event: bytes) -> None:
    decoder = Repeated(first(TEXT))
    with pytest.raises(Diverged):
        decoder.feed(event)


def test_thoughts_before_the_answer_are_not_another_answer() -> None:
    thoughts = chunk({"role": "assistant", "reasoning_content": "hm"}) + chunk({"reasoning": "so"})
    stream = ran(Repeated(first("Once")), [thoughts, second("Once", " upon")])
    assert words(stream) == " upon"
    assert b"hm" not in stream


def test_events_go_on_in_the_turn_they_came() -> None:
    for decoder in (Prefilled(first("Once")), Repeated(first("Once"))):
        if isinstance(decoder, Repeated):
            assert decoder.feed(chunk({"content": "Once"})) == b""
        said = chunk({"content": " upon"})
        assert loads(decoder.feed(said)[6:])["choices"][0]["delta"] == {"content": " upon"}
        assert decoder.feed(said[:-1]) == b""
        assert decoder.feed(said[-1:])


def test_only_the_names_change_once_all_is_clear() -> None:
    odd = (
        b'{"id":"two", "x":1.50,"choices":[{"index":0,"delta":{"content":" \\u0061"}}],"created":2}'
    )
    new = (
        b'{"id":"one","x":1.50,"choices":[{"index":0,"delta":{"content":" \\u0061"}}],"created":1}'
    )
    for decoder in (Prefilled(first("Once")), Repeated(first(""))):
        assert decoder.feed(b"data: " + odd + b"\n\n") == b"data: " + new + b"\n\n"


def test_a_first_stream_without_a_name_leaves_the_second_its_own() -> None:
    stream = ran(Prefilled(Sent()), [second("Once")])
    assert {(each["id"], each["created"]) for each in read(stream)} == {("two", 2)}
    assert read(stream)[0]["choices"][0]["delta"]["role"] == "assistant"


@pytest.mark.parametrize("make", [Prefilled, Repeated])
def test_comments_pass_and_what_cannot_be_read_is_counted(
    make: type[Prefilled] | type[Repeated],
) -> None:
    decoder = make(first("Once"))
    assert decoder.feed(b": ping\n\n") == b": ping\n\n"
    assert decoder.feed(b"data: {oops\n\ndata: 1\n\n") == b""
    assert decoder.feed(b'data: {"choices":[1]}\n\n') == b""
    assert decoder.malformed == 3
    error = error_event(BadRequest("no"))
    assert decoder.feed(error) == error
    ran(decoder, [second("Once", " upon")])
    assert decoder.malformed == 3


@pytest.mark.parametrize("make", [Prefilled, Repeated])
def test_a_last_event_without_its_blank_line_counts(
    make: type[Prefilled] | type[Repeated],
) -> None:
    whole = second("Once", " upon").removesuffix(b"\n")
    assert words(ran(make(first("Once")), [whole])).endswith(" upon")


@pytest.mark.parametrize("make", [Prefilled, Repeated])
def test_an_event_without_end_is_refused(make: type[Prefilled] | type[Repeated]) -> None:
    decoder = make(first("Once"))
    with pytest.raises(Malformed):
        decoder.feed(b"data: " + b"x" * (HOLD + 1))


def test_usage_with_every_event_is_kept() -> None:
    counted = chunk({"content": "Once"}).replace(b'"usage":null', b'"usage":{"total_tokens":1}')
    decoder = Repeated(first("Once"))
    assert decoder.feed(USAGE) == b""
    (told,) = read(decoder.feed(counted) + DONE)
    assert told["usage"] == {"total_tokens": 1}
    assert told["choices"][0]["delta"] == {"content": ""}


def test_a_held_beginning_comes_before_what_is_no_text() -> None:
    decoder = Prefilled(first(TEXT))
    assert decoder.feed(chunk({"content": "Once"})) == b""
    call = chunk({"tool_calls": [{"index": 0, "id": "a"}]}, "tool_calls")
    held, told = read(decoder.feed(call) + DONE)
    assert held["choices"] == [{"index": 0, "delta": {"content": "Once"}, "finish_reason": None}]
    assert "usage" not in held
    assert told["choices"][0]["finish_reason"] == "tool_calls"
    assert ran(decoder, [DONE]) == DONE


@st.composite
def told_in_pieces(draw: st.DrawFn, text: str) -> list[str]:
    pieces = []
    while text:
        size = draw(st.integers(1, len(text)))
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@given(st.text(max_size=40), st.text(max_size=10), st.data())
def test_a_restart_gives_the_whole_text_once(sent: str, more: str, data: st.DataObject) -> None:
    whole = second(*data.draw(told_in_pieces(sent + more)))
    stream = ran(Repeated(first(sent)), data.draw(splits(whole)))
    assert sent + words(stream) == sent + more


@given(st.text("ab \n", max_size=40), st.text("ab \n", max_size=20), st.booleans(), st.data())
def test_a_continuation_gives_the_whole_text_once(
    sent: str, more: str, repeats: bool, data: st.DataObject
) -> None:
    prefill = first(sent).prefill
    told = sent[len(prefill) :] + more  # As the vendor goes on from what it was given.
    if repeats and len(prefill) >= SURELY_REPEATED:
        told = prefill + told
    elif len(prefill) >= SURELY_REPEATED and told.startswith(prefill):
        return
    whole = second(*data.draw(told_in_pieces(told)))
    stream = ran(Prefilled(first(sent)), data.draw(splits(whole)))
    assert sent + words(stream) == sent + more


@given(st.text(max_size=8), st.text(max_size=12), st.data())
def test_nothing_else_than_the_same_beginning_is_let_through(
    sent: str, told: str, data: st.DataObject
) -> None:
    decoder = Repeated(first(sent))
    pieces = data.draw(splits(second(*data.draw(told_in_pieces(told)))))
    if told.startswith(sent):
        assert sent + words(ran(decoder, pieces)) == told
    else:
        with pytest.raises(Diverged):
            ran(decoder, pieces)


@given(st.binary(max_size=80))
def test_noise_raises_nothing_else(data: bytes) -> None:
    ran(Prefilled(first(TEXT)), [data])
    with pytest.raises(Diverged):
        ran(Repeated(first(TEXT)), [data])


def test_a_prefill_is_one_message_more_and_no_other_byte() -> None:
    raw = b'{"model" : "m", "messages" : [ {"role":"user","content":"\\u0041"} ] , "n":1.0}'
    body = Body(raw)
    prefill_body(body, 'say "hi"\n')
    more = b',{"role":"assistant","content":"say \\"hi\\"\\n"}]'
    assert body.raw == raw.replace(b"} ] ,", b"} " + more + b" ,")


@pytest.mark.parametrize(
    ("messages", "left"),
    [
        (b"[]", b'[{"role":"assistant","content":"T"}]'),
        (
            b'[{"role":"assistant", "name":"n","content":"A: "} ]',
            b'[{"role":"assistant","name":"n","content":"A: T"} ]',
        ),
        (
            b'[{"role":"assistant","content":"","tool_calls":[1]}]',
            b'[{"role":"assistant","content":"","tool_calls":[1]},{"role":"assistant","content":"T"}]',
        ),
    ],
)
def test_a_prefill_joins_one_that_is_there(messages: bytes, left: bytes) -> None:
    body = Body(b'{"messages":' + messages + b"}")
    prefill_body(body, "T")
    assert body.value("messages") == left


def test_a_prefill_of_nothing_changes_nothing() -> None:
    body = Body(b'{"messages":[]}')
    prefill_body(body, "")
    assert body.raw == b'{"messages":[]}'
    with pytest.raises(BadRequest):
        prefill_body(Body(b'{"messages":{}}'), "T")


@pytest.mark.parametrize("make", [Prefilled, Repeated])
def test_the_mark_stands_in_front_of_the_end(make: type[Prefilled] | type[Repeated]) -> None:
    mark = b"data: MARK\n\n"
    for whole in (
        second("Once", " upon"),
        chunk({"content": "Once upon"}) + USAGE + DONE,
        chunk({"content": "Once upon"}) + DONE,
        chunk({"content": "Once upon"}, "stop") + DONE,
    ):
        stream = ran(make(first("Once"), mark), [whole])
        events = split(stream)
        assert events.count(mark) == 1
        rest = b"".join(events[events.index(mark) :])
        assert (b'"finish_reason":"' in rest) is (b'"finish_reason":"' in whole)
        assert (b'"usage":{' in rest) is (b'"usage":{' in whole)


def test_what_was_cut_again_is_not_marked() -> None:
    cut = chunk({"content": "Once upon"}) + b": ping\n\n"
    for decoder in (Prefilled(first("Once"), b"MARK"), Repeated(first("Once"), b"MARK")):
        assert b"MARK" not in ran(decoder, [cut])


def test_the_mark_is_a_chunk_that_says_nothing() -> None:
    (mark,) = read(rescue_event("restart", "p", "n", first("x")) + DONE)
    assert mark["llm_proxy"] == {"rescue": "restart", "provider": "p", "model": "n"}
    assert (mark["id"], mark["created"], mark["model"]) == ("one", 1, "n")
    assert mark["choices"][0]["delta"] == {}
    sent = first("x")
    sent.feed(rescue_event("prefill", "p", "n"))
    assert sent.can_continue
    assert sent.text == "x"
