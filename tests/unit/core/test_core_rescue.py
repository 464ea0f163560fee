"""A stream that breaks off is carried on by another target, or ends with the first error."""

from dataclasses import replace

import pytest

from proxy.base.errors import Cut, TimedOut, UpstreamError
from proxy.core.policy import Fallback, Policy, Rescue
from proxy.core.target import Route
from proxy.routing.catalogue import Models
from tests.fakes.caller import FakeIncoming
from tests.fakes.wire import EVENTS, FakeAnswer
from tests.unit.core.outcomes import DONE, LAST, STREAM, USAGE, Case

Piece = bytes | Exception


def said(text: bytes) -> bytes:
    return (
        b'data: {"id":"a","created":1,"object":"chat.completion.chunk","model":"m",'
        b'"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % text
    )


def rescued(*answers: list[Piece], how: tuple[Rescue, ...], prefill: bool = False) -> Case:
    """A request whose targets give these answers, one after the other."""
    case = Case([[FakeAnswer(pieces, EVENTS)] for pieces in answers], FakeIncoming(STREAM))
    found = case.x.runtime.catalogue.route("m")
    assert isinstance(found, Route)
    policy = Policy(rescue=how)
    able = frozenset(("chat", "prefill")) if prefill else None
    targets = (replace(t, policy=policy, capabilities=able) for t in found.targets)
    route = replace(found, policy=policy, targets=tuple(targets))
    case.x.runtime = replace(case.x.runtime, catalogue=Models([route]))
    return case


@pytest.mark.parametrize("trouble", [Cut("c"), TimedOut("t", phase="idle")])
async def test_a_restart_goes_on_where_the_first_stopped(trouble: UpstreamError) -> None:
    case = rescued(
        [said(b"Hello "), said(b"wo"), trouble],
        [said(b"Hell"), said(b"o world!"), LAST, USAGE, DONE],
        how=("restart",),
    )
    await case.run()
    case.check()
    assert case.x.finished and case.x.error is None
    body = case.out.body
    assert body.startswith(said(b"Hello ") + said(b"wo") + said(b"rld!"))
    assert body.count(b'"llm_proxy":{"rescue":"restart","provider":"p1"') == 1
    assert body.endswith(DONE) and b"error" not in body
    assert [(each.reason, each.rescue) for each in case.x.attempts] == [
        (trouble.reason, None),
        (None, "restart"),
    ]


async def test_a_prefill_is_sent_what_was_said() -> None:
    case = rescued(
        [said(b"Hello "), Cut("c")],
        [said(b"world!"), LAST, DONE],
        how=("prefill", "restart"),
        prefill=True,
    )
    await case.run()
    case.check()
    sent = case.transports[1].sent[0].body
    assert isinstance(sent, bytes)
    assert b'{"role":"assistant","content":"Hello"}' in sent
    assert case.out.body.count(b"Hello") == 1 and b"world!" in case.out.body
    assert case.x.attempts[-1].rescue == "prefill"


async def test_what_says_something_else_ends_with_the_first_error() -> None:
    case = rescued([said(b"Hello "), Cut("c")], [said(b"Good day"), LAST, DONE], how=("restart",))
    await case.run()
    case.check()
    assert isinstance(case.x.error, Cut) and not case.x.finished
    assert b"Good" not in case.out.body and b"[DONE]" not in case.out.body
    assert b'"code":"upstream_cut"' in case.out.body


async def test_without_rescue_the_error_is_told_at_once() -> None:
    case = rescued([said(b"Hello "), Cut("c")], [said(b"Hello world"), LAST, DONE], how=())
    await case.run()
    case.check()
    assert len(case.x.attempts) == 1 and b'"code":"upstream_cut"' in case.out.body


TOLD = {
    "OpenAI's": b'data: {"error":{"message":"overloaded","type":"overloaded_error"}}\n\n',
    "OpenRouter's": b'data: {"id":"c","error":{"code":503,"message":"overloaded"},'
    b'"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n',
}


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
async def test_an_error_event_in_mid_stream_is_rescued_and_not_shown(told: bytes) -> None:
    case = rescued([said(b"Hello "), told], [said(b"Hello world"), LAST, DONE], how=("restart",))
    await case.run()
    case.check()
    assert b"overloaded" not in case.out.body and b"world" in case.out.body
    assert case.x.attempts[0].reason == "overloaded"


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
async def test_an_answer_that_ends_with_an_error_is_not_whole(told: bytes) -> None:
    case = rescued([said(b"Hello "), told], how=())
    await case.run()
    case.check()
    assert case.out.body == said(b"Hello ") + told
    assert isinstance(case.x.error, UpstreamError) and not case.x.finished
    assert [each.reason for each in case.x.attempts] == ["overloaded"]


async def test_before_the_first_word_another_target_answers_alone() -> None:
    role = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    case = rescued([role, Cut("c")], [role, said(b"Hi"), LAST, DONE], how=())
    await case.run()
    case.check()
    assert case.out.body == role + said(b"Hi") + LAST + DONE
    assert [each.reason for each in case.x.attempts] == ["cut", None]


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_both_ways_at_one_target_count_as_tries(most: int) -> None:
    """What refuses a prefill is asked for a restart only where one more try is allowed."""
    case = rescued(
        [said(b"Hello "), Cut("c")],
        [Cut("c")],
        how=("prefill", "restart"),
        prefill=True,
    )
    case.transports[1].replies.append(FakeAnswer([said(b"Hello world"), LAST, DONE], EVENTS))
    route = case.x.runtime.catalogue.route("m")
    assert isinstance(route, Route)
    policy = replace(route.policy, fallback=Fallback(max_attempts=most))
    targets = tuple(replace(target, policy=policy) for target in route.targets)
    changed = replace(route, policy=policy, targets=targets)
    case.x.runtime = replace(case.x.runtime, catalogue=Models([changed]))
    await case.run()
    case.check()
    assert len(case.x.attempts) == most
    assert case.x.finished is (most == 3)
