"""Windows: what is left of a conversation is one that OpenAI takes, and it fits."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.jsonio import dumps, loads
from proxy.wire.body import Body
from proxy.wire.fitting import MOST_MESSAGES, Window, fit, windowed

Message = dict[str, Any]


def said(role: str, content: str = "x") -> Message:
    return {"role": role, "content": content}


def calls(*ids: str) -> Message:
    made = [{"id": each, "type": "function", "function": {"name": "f"}} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": made}


def result(of: str, content: str = "r") -> Message:
    return {"role": "tool", "tool_call_id": of, "content": content}


def each_ten(_text: bytes) -> int:
    return 10 - 4  # With what stands around a message: ten.


def room(messages: int) -> int:
    return 10 * messages + 3


def cut(messages: list[Message], keep: int) -> list[Message] | None:
    window = windowed(dumps(messages), room(keep), each_ten)
    return None if window is None else loads(window.messages)


def test_what_fits_is_the_same_object() -> None:
    text = dumps([said("user"), said("assistant"), said("user")])
    assert windowed(text, room(3), each_ten) == Window(text, 0)
    window = windowed(text, room(3), each_ten)
    assert window is not None
    assert window.messages is text


def test_the_oldest_turns_go_first_and_whole() -> None:
    talk = [said("user", "1"), said("assistant", "a"), said("user", "2"), said("assistant", "b")]
    talk += [said("user", "3")]
    assert cut(talk, 4) == talk[2:]
    assert cut(talk, 3) == talk[2:]
    assert cut(talk, 2) == talk[4:]
    assert cut(talk, 1) == talk[4:]
    assert cut(talk, 0) is None


def test_what_the_operator_said_stays_wherever_it_stands() -> None:
    talk = [said("system", "s"), said("user", "1"), said("developer", "d"), said("assistant", "a")]
    talk += [said("user", "2"), said("system", "t"), said("assistant", "b"), said("user", "3")]
    assert cut(talk, 4) == [talk[0], talk[2], talk[5], talk[7]]
    assert cut(talk, 3) is None


def test_calls_and_results_go_together() -> None:
    talk = [said("user", "1"), calls("a", "b"), result("a"), result("b"), said("assistant", "A")]
    talk += [said("user", "2")]
    assert cut(talk, 5) == talk[5:]


def test_a_long_run_of_tools_loses_its_oldest_steps() -> None:
    talk = [said("system"), said("user", "1"), said("assistant", "A"), said("user", "2")]
    steps = [[calls("a"), result("a")], [calls("b", "c"), result("b"), result("c")]]
    steps += [[said("assistant", "thinking")], [calls("d"), result("d")]]
    flat = [message for step in steps for message in step]
    base = [talk[0], talk[3]]
    assert cut(talk + flat, 10) == base + flat
    assert cut(talk + flat, 9) == base + flat[2:]
    assert cut(talk + flat, 7) == base + flat[5:]
    assert cut(talk + flat, 4) == base + flat[6:]
    assert cut(talk + flat, 3) is None


def test_the_older_form_of_calls_is_kept_together_too() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "f"}}
    talk = [said("user"), call, {"role": "function", "name": "f", "content": "r"}, call]
    talk += [{"role": "function", "name": "f", "content": "s"}]
    assert cut(talk, 4) == [talk[0], *talk[3:]]


def test_without_a_user_the_last_thing_said_stays() -> None:
    talk = [said("assistant", "1"), said("assistant", "2"), said("assistant", "3")]
    assert cut(talk, 1) == talk[2:]
    assert cut(talk, 0) is None


def test_messages_keep_their_bytes() -> None:
    old = b'[ {"role":"user","content":"old"}, '
    new = b'{ "content" : "\\u0041 \xc3\xa4 1.50", "r\\u006fle" : "us\\u0065r" }'
    window = windowed(old + new + b" ]", room(1), each_ten)
    assert window == Window(b"[" + new + b"]", 1)


NO_CONVERSATIONS = [b'"text"', b"null", b"1", b"[1,2]", b'["a"]', b"{}", b'[{"role":"user"},[]]']


@pytest.mark.parametrize("text", NO_CONVERSATIONS)
def test_what_is_no_conversation_cannot_be_cut(text: bytes) -> None:
    assert windowed(text, 0, each_ten) is None


@pytest.mark.parametrize("role", [b"1", b"null", b"{}", b'"\\ud83d\\ude00"'])
def test_strange_roles_are_nobody(role: bytes) -> None:
    text = b'[{"role":' + role + b'},{"role":"user"}]'
    assert windowed(text, room(1), each_ten) == Window(b'[{"role":"user"}]', 1)


def test_lists_without_end_are_left_alone() -> None:
    asked: list[bytes] = []

    def estimate(text: bytes) -> int:
        asked.append(text)
        return 1

    assert windowed(b"[" + b"{}," * MOST_MESSAGES + b"{}]", 10, estimate) is None
    assert not asked


def test_the_body_changes_in_one_place() -> None:
    talk = [said("user", "old"), said("user", "new")]
    raw = b'{"model": "m", "messages": ' + dumps(talk) + b' , "n":1.0}'
    body = Body(raw)
    assert fit(body, "chat", room(2), each_ten) == 0
    assert body.raw is raw
    assert fit(body, "chat", 5, each_ten) is None
    assert body.raw is raw
    assert fit(body, "chat", room(1), each_ten) == 1
    assert body.raw == b'{"model": "m", "messages": ' + dumps(talk[1:]) + b' , "n":1.0}'


def test_items_of_responses_go_turn_by_turn() -> None:
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "a", "output": "r"}
    items = [said("developer"), said("user", "1"), {"type": "reasoning", "id": "r"}, call, output]
    items += [said("user", "2"), {"type": "reasoning", "id": "s"}, call, output]
    body = Body(b'{"input":' + dumps(items) + b"}")
    assert fit(body, "responses", room(8), each_ten) == 4
    assert loads(body.raw) == {"input": [items[0], *items[5:]]}
    assert fit(body, "responses", room(4), each_ten) is None


@pytest.mark.parametrize(
    ("raw", "operation"),
    [(b'{"input":"text"}', "responses"), (b'{"messages":[]}', "embeddings"), (b"{}", "chat")],
)
def test_what_has_no_turns_cannot_be_cut(raw: bytes, operation: str) -> None:
    assert fit(Body(raw), operation, 0) is None


@st.composite
def turns(draw: st.DrawFn) -> list[Message]:
    """One turn: a user, then steps, the results of calls right behind them."""
    talk = [said("user", draw(words))]
    for at in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            ids = [f"{at}-{which}" for which in range(draw(st.integers(1, 3)))]
            talk += [calls(*ids), *(result(each, draw(words)) for each in ids)]
        else:
            talk.append(said(draw(st.sampled_from(["assistant", "system"])), draw(words)))
    return talk


words = st.text(max_size=30)
talks = st.tuples(
    st.lists(st.builds(said, st.sampled_from(["system", "developer"]), words), max_size=2),
    st.lists(turns(), min_size=1, max_size=5),
).map(lambda drawn: drawn[0] + [message for turn in drawn[1] for message in turn])


def orphans(talk: list[Message]) -> Iterator[str]:
    """Calls without all their results right behind them, and results without calls."""
    open_calls: list[str] = []
    for message in talk:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                yield f"a result of nothing: {message}"
            else:
                open_calls.remove(message["tool_call_id"])
            continue
        yield from open_calls
        open_calls = [each["id"] for each in message.get("tool_calls", ())]
    yield from open_calls


def is_part_of(part: list[Message], whole: list[Message]) -> bool:
    rest = iter(whole)
    return all(any(message == other for other in rest) for message in part)


def least(talk: list[Message]) -> list[Message]:
    """What no window can do without."""
    fixed = [message for message in talk if message["role"] in {"system", "developer"}]
    rest = [message for message in talk if message not in fixed]
    at = max(where for where, message in enumerate(rest) if message["role"] == "user")
    steps = [where for where in range(at + 1, len(rest)) if rest[where]["role"] != "tool"]
    return [*fixed, rest[at], *(rest[steps[-1] :] if steps else [])]


@given(talks, st.integers(0, 1500))
def test_the_window_is_a_whole_conversation_and_fits(talk: list[Message], allowed: int) -> None:
    def estimate(text: bytes) -> int:
        return len(text)

    assert not list(orphans(talk))
    window = windowed(dumps(talk), allowed, estimate)
    fixed = [message for message in talk if message["role"] in {"system", "developer"}]
    users = [message for message in talk if message["role"] == "user"]
    if window is None:
        assert sum(len(dumps(each)) + 4 for each in least(talk)) + 3 > allowed
        return
    left = loads(window.messages)
    assert len(left) == len(talk) - window.dropped
    assert not list(orphans(left))
    assert is_part_of(left, talk)
    assert [message for message in left if message["role"] in {"system", "developer"}] == fixed
    assert users[-1] in left
    assert all(message in left for message in least(talk))
    assert sum(estimate(dumps(message)) + 4 for message in left) + 3 <= allowed
    others = [message for message in left if message["role"] not in {"system", "developer"}]
    assert others[0]["role"] == "user"


@given(talks, st.integers(0, 800), st.integers(0, 800))
def test_more_room_never_leaves_less(talk: list[Message], one: int, more: int) -> None:
    text = dumps(talk)
    small, large = windowed(text, one, len), windowed(text, one + more, len)
    if small is not None:
        assert large is not None
        assert large.dropped <= small.dropped


@given(
    st.recursive(
        st.none() | st.text(max_size=3),
        lambda each: st.lists(each) | st.fixed_dictionaries({"role": each}),
    )
)
def test_nothing_is_raised_whatever_it_is(value: object) -> None:
    window = windowed(dumps(value), 5)
    assert window is None or msgspec.json.decode(window.messages) is not None
