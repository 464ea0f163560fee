"""For whom a request is made: where labels come from, what is refused, what is bounded."""

from typing import Any

import pytest

from proxy.base.errors import BadRequest
from proxy.base.jsonio import dumps
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.labels import NO_LABELS, Labels
from proxy.middleware.labels import labels
from proxy.wire.body import Body
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import simple
from tests.fakes.wire import FakeTransport

ALL = ModelPatterns.of(("*",))
CALLER = Caller("c", ALL)
HEADERS = (
    ("x-llm-proxy-customer", "acme"),
    ("X-LLM-Proxy-Agent", "scout"),
    ("x-llm-proxy-session", "s-1"),
    ("x-llm-proxy-tags", "a, b,,a , c"),
)
BODY = {
    "user": "body-user",
    "metadata": {"agent_id": "body-agent", "session_id": "body-session", "tags": "x,y", "other": 1},
}


def made(
    headers: tuple[tuple[str, str], ...] = (),
    body: dict[str, Any] | None = None,
    caller: Caller = CALLER,
) -> Exchange:
    x = simple(FakeTransport(), FakeIncoming(headers=headers))
    x.caller = caller
    if body is not None:
        x.body = Body(dumps(body))
    return x


async def labelled(
    headers: tuple[tuple[str, str], ...] = (),
    body: dict[str, Any] | None = None,
    caller: Caller = CALLER,
) -> Labels:
    x = made(headers, body, caller)
    assert labels(x) is None
    return x.labels


async def test_headers_say_it() -> None:
    assert await labelled(HEADERS) == Labels("acme", "scout", "s-1", ("a", "b", "c"))


async def test_the_body_says_it() -> None:
    expected = Labels("body-user", "body-agent", "body-session", ("x", "y"))
    assert await labelled((), BODY) == expected


async def test_headers_come_before_the_body() -> None:
    assert await labelled(HEADERS, BODY) == Labels("acme", "scout", "s-1", ("a", "b", "c"))
    some = await labelled(HEADERS[2:3], BODY)
    assert some == Labels("body-user", "body-agent", "s-1", ("x", "y"))


async def test_nothing_said_is_nothing() -> None:
    assert await labelled() is NO_LABELS
    assert await labelled((("x-llm-proxy-provider", "p"),), {"model": "m"}) is NO_LABELS
    assert await labelled((), {"user": None, "metadata": None}) == NO_LABELS


async def test_a_body_that_is_not_read_says_nothing() -> None:
    x = made(HEADERS)
    x.body = None
    labels(x)
    assert x.labels.customer == "acme"


async def test_tags_may_be_a_list() -> None:
    assert (await labelled((), {"metadata": {"tags": ["x, y", "z"]}})).tags == ("x, y", "z")


async def test_the_keys_own_agent_and_tags_stand() -> None:
    own = Caller("c", ALL, agent="fixed", tags=("team-tag", "a"))
    found = await labelled(HEADERS, BODY, own)
    assert found == Labels("acme", "fixed", "s-1", ("team-tag", "a", "b", "c"))
    assert await labelled((), None, own) == Labels(None, "fixed", None, ("team-tag", "a"))


@pytest.mark.parametrize("label", ["customer", "agent", "session", "tags"])
async def test_a_header_that_is_given_twice_is_refused(label: str) -> None:
    name = f"x-llm-proxy-{label}"
    for again in (name, name.upper()):
        x = made(((name, "a"), (again, "a")))
        with pytest.raises(BadRequest) as caught:
            labels(x)
        assert (caught.value.status, caught.value.code) == (400, "duplicate_header")
        assert caught.value.param == name
        assert f"`{name}`" in caught.value.message
        assert x.labels is NO_LABELS


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"user": 7}, "user"),
        ({"user": ["a"]}, "user"),
        ({"metadata": "x"}, "metadata"),
        ({"metadata": {"agent_id": 7}}, "metadata.agent_id"),
        ({"metadata": {"session_id": {"a": 1}}}, "metadata.session_id"),
        ({"metadata": {"tags": 7}}, "metadata.tags"),
        ({"metadata": {"tags": {"a": "b"}}}, "metadata.tags"),
        ({"metadata": {"tags": ["a", 7]}}, "metadata.tags"),
    ],
)
async def test_labels_of_the_wrong_type_are_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await labelled((), body)
    assert (caught.value.code, caught.value.param) == ("invalid_type", param)


@pytest.mark.parametrize("text", ["", "  ", "a\x00b", "a\u202eb", "\udcff", "a\nb"])
async def test_what_cannot_be_a_name_is_none(text: str) -> None:
    headers = tuple((f"x-llm-proxy-{label}", text) for label in ("customer", "agent", "session"))
    found = await labelled((*headers, ("x-llm-proxy-tags", f"{text},b")))
    assert found == Labels(None, None, None, ("b",))


async def test_labels_are_bounded() -> None:
    found = await labelled((("x-llm-proxy-customer", "c" * 500),), {"user": "u" * 500})
    assert found.customer == "c" * 128
    many = ",".join(f"{n:0200d}" for n in range(50))
    for given in (
        await labelled((("x-llm-proxy-tags", many),)),
        await labelled((), {"metadata": {"tags": many.split(",")}}),
    ):
        assert 0 < len(given.tags) <= 16
        assert all(len(tag) <= 128 for tag in given.tags)


async def test_the_keys_own_tags_are_not_pushed_out() -> None:
    own = tuple(f"own-{n}" for n in range(10))
    many = ",".join(f"t{n}" for n in range(50))
    found = await labelled((("x-llm-proxy-tags", many),), None, Caller("c", ALL, tags=own))
    assert found.tags == (*own, *(f"t{n}" for n in range(6)))


async def test_a_credential_in_a_label_is_blotted_out() -> None:
    secret = "sk-" + "a1B2" * 10
    found = await labelled((("x-llm-proxy-customer", f"acme {secret}"),), {"user": secret})
    assert found.customer is not None
    assert "a1B2" not in found.customer
    cut = await labelled((("x-llm-proxy-session", "s" * 122 + " " + secret),))
    assert cut.session is not None
    assert "a1" not in cut.session
