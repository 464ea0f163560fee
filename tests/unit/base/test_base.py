"""The ground floor: secrets that do not print, ids that sort, tasks that are not lost, errors."""

import asyncio
import hashlib
import inspect
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base import errors, jsonio
from proxy.base.ids import RequestIds
from proxy.base.secret import Secret, fingerprint
from proxy.base.tasks import Tasks


def test_a_secret_does_not_print() -> None:
    secret = Secret("sk-abc")
    assert "sk-abc" not in f"{secret!r} {secret} {[secret]} {secret!s:>20}"
    assert secret.reveal() == "sk-abc"
    assert secret == Secret("sk-abc")
    assert hash(secret) == hash(Secret("sk-abc"))
    assert secret != Secret("sk-abd")
    assert secret != "sk-abc"
    assert not Secret("")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_fingerprints_are_sha256(key: str) -> None:
    assert fingerprint(key) == hashlib.sha256(key.encode()).digest()


@given(st.binary())
def test_a_fingerprint_is_of_the_bytes_that_came(raw: bytes) -> None:
    assert fingerprint(raw.decode("utf-8", "surrogateescape")) == hashlib.sha256(raw).digest()


def test_ids_are_unique_and_sort_by_time() -> None:
    ids = RequestIds()
    made = [ids.new() for _ in range(3000)]  # Several batches of random bytes.
    assert len(set(made)) == len(made)
    assert {len(each) for each in made} == {36}
    assert all(each.startswith("req_") for each in made)
    assert [each[:16] for each in made] == sorted(each[:16] for each in made)


async def test_a_task_that_fails_is_logged_and_let_go(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    tasks = Tasks()
    task = tasks.spawn(fail(), name="dividing")
    assert len(tasks) == 1
    with pytest.raises(ZeroDivisionError):
        await task
    await asyncio.sleep(0)
    assert len(tasks) == 0
    assert "background task dividing failed" in caplog.text


async def test_cancelling_ends_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ended: list[int] = []

    async def wait(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    tasks = Tasks()
    for number in range(3):
        _ = tasks.spawn(wait(number), name="waiting")
    await asyncio.sleep(0)
    await tasks.cancel()
    assert sorted(ended) == [0, 1, 2]
    assert len(tasks) == 0
    assert not caplog.records


def every_error() -> list[type[errors.ProxyError]]:
    return [
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.ProxyError)
    ]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_can_be_answered(error: type[errors.ProxyError]) -> None:
    assert error.__name__ in (errors.__doc__ or "") or error is errors.Refused
    assert 400 <= error.status < 600
    assert (error.status < 500) is issubclass(error, errors.CallerError)
    assert error.type
    assert error.kind


def test_only_what_was_not_sent_may_be_sent_again() -> None:
    assert not errors.Unreachable("x").sent
    assert errors.Reset("x").sent
    assert errors.Cut("x").sent
    assert errors.TimedOut("x", phase="idle").sent
    assert not errors.TimedOut("x", phase="connect", sent=False).sent
    assert errors.Refused(500, "x").sent


@pytest.mark.parametrize("raw", [b"", b"{", b"NaN", b"[" * 100_000, b'"\xff"', b"{} {}"])
def test_bad_json_raises_one_thing(raw: bytes) -> None:
    with pytest.raises(jsonio.JSONError):
        jsonio.loads(raw)


def test_json_out() -> None:
    assert jsonio.dumps({"b": 1, "a": "ä"}) == '{"b":1,"a":"ä"}'.encode()
    assert jsonio.pretty({"b": 1, "a": 2}) == b'{\n  "a": 2,\n  "b": 1\n}'
