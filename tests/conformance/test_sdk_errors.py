"""Every failure is the SDK exception that a program written for OpenAI expects."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.conformance.judge import JUDGES, Call, Judge
from tests.fakes import openai_wire as wire
from tests.fakes.vendor import FIN, STALL, Vendor
from tests.integration.gateway import SOME, Gateway, gateway, provider, settings

HELLO: Any = [{"role": "user", "content": "Hello"}]
JSON = ("content-type", "application/json")


def chat(model: str = "gpt-4o-mini", **more: Any) -> Call:
    return lambda c: c.chat.completions.create(model=model, messages=HELLO, **more)


async def caught(
    judge: Judge, call: Call, kind: type[openai.APIStatusError], **options: Any
) -> openai.APIStatusError:
    """The exception of a call, of exactly this class."""
    with pytest.raises(kind) as info:
        await judge.ask(call, **options)
    assert type(info.value) is kind
    assert info.value.request_id is not None
    return info.value


async def test_no_such_key(judge: Judge) -> None:
    error = await caught(judge, chat(), openai.AuthenticationError, api_key="sk-wrong")
    assert (error.status_code, error.code, error.type) == (
        401,
        "invalid_api_key",
        "authentication_error",
    )


async def test_a_model_that_is_not_allowed(judge: Judge) -> None:
    error = await caught(judge, chat("renamed"), openai.PermissionDeniedError, api_key=SOME)
    assert error.code == "key_model_access_denied"
    assert error.param == "model"


async def test_a_passthrough_that_is_not_allowed(judge: Judge) -> None:
    error = await caught(
        judge, lambda c: c.files.list(), openai.PermissionDeniedError, api_key=SOME
    )
    assert error.code == "key_operation_access_denied"


async def test_no_such_model_names_the_near_one(judge: Judge, vendor: Vendor) -> None:
    error = await caught(judge, chat("gpt-4o-mimi"), openai.NotFoundError)
    assert (error.code, error.param) == ("model_not_found", "model")
    assert "did you mean `gpt-4o-mini`?" in error.message
    assert vendor.calls == 0


async def test_no_such_model_to_retrieve(judge: Judge) -> None:
    error = await caught(judge, lambda c: c.models.retrieve("nothing"), openai.NotFoundError)
    assert error.code == "model_not_found"


BAD: dict[str, tuple[Call, str]] = {
    "stream": (chat(extra_body={"stream": "yes"}), "stream"),
    "model": (chat(extra_body={"model": 7}), "model"),
    "stream_options": (
        chat(stream=True, extra_body={"stream_options": ["include_usage"]}),
        "stream_options",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_field_of_the_wrong_type(judge: Judge, vendor: Vendor, name: str) -> None:
    call, param = BAD[name]
    error = await caught(judge, call, openai.BadRequestError)
    assert (error.code, error.param, error.type) == (
        "invalid_type",
        param,
        "invalid_request_error",
    )
    assert vendor.calls == 0


@pytest.mark.parametrize("kind", JUDGES)
async def test_a_body_that_is_too_large(vendor: Vendor, kind: str) -> None:
    async with gateway(settings(vendor, max_body="64KiB")) as proxy:
        judge = JUDGES[kind](proxy.url, "sk-everything")
        call = chat(extra_body={"pad": "x" * 70_000})
        error = await caught(judge, call, openai.APIStatusError)
        assert (error.status_code, error.code) == (413, "request_too_large")
        file = ("a", b"x" * 200_000)
        upload = await caught(
            judge, lambda c: c.files.create(file=file, purpose="batch"), openai.APIStatusError
        )
        assert upload.status_code == 413
        assert (await judge.ask(chat())).choices
        await judge.close()


VENDOR_SAYS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
    529: openai.InternalServerError,
}


@pytest.mark.parametrize("status", VENDOR_SAYS)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_vendor_s_refusal_passes_as_it_is(
    judge: Judge, vendor: Vendor, status: int, stream: bool
) -> None:
    body = wire.error_body("The vendor's own words", "its_type", "its_code")
    vendor.say(status, [JSON, ("retry-after", "7"), ("x-ratelimit-remaining-tokens", "0")], body)
    error = await caught(judge, chat(stream=stream), VENDOR_SAYS[status])
    assert error.status_code == status
    assert (error.code, error.type) == ("its_code", "its_type")
    assert "The vendor's own words" in error.message
    assert error.response.headers["retry-after"] == "7"
    assert error.response.headers["x-ratelimit-remaining-tokens"] == "0"
    assert error.response.content == body


async def test_the_operator_s_bad_credentials_are_not_the_caller_s(
    judge: Judge, vendor: Vendor
) -> None:
    body = wire.error_body("Incorrect API key provided: sk-of-the-operator", code="invalid_api_key")
    vendor.say(401, [JSON], body)
    error = await caught(judge, chat(), openai.InternalServerError, max_retries=2)
    assert (error.status_code, error.code) == (502, "upstream_authentication")
    assert "sk-of" not in error.response.text
    assert vendor.calls == 1  # Trying again cannot help, and the answer says so.


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b"<html>Bad gateway</html>"),
        ("application/json", b'{"detail":"no luck"}'),
        ("application/json", b'{"broken'),
        ("text/plain", b""),
    ],
)
async def test_an_error_in_another_shape_gets_openai_s(
    judge: Judge, vendor: Vendor, content_type: str, body: bytes
) -> None:
    vendor.say(502, [("content-type", content_type), ("retry-after", "3")], body)
    error = await caught(judge, chat(), openai.InternalServerError)
    assert error.status_code == 502 and error.type == "upstream_error"
    assert error.response.headers["content-type"] == "application/json"
    assert error.response.headers["retry-after"] == "3"
    assert "<html>" not in error.message


@pytest.mark.parametrize("kind", JUDGES)
async def test_a_vendor_that_cannot_be_reached(kind: str) -> None:
    config = settings(
        "http://nobody.invalid/v1",
    )
    async with gateway(config) as proxy:
        judge = JUDGES[kind](proxy.url, "sk-everything")
        error = await caught(judge, chat(), openai.InternalServerError)
        assert (error.status_code, error.code) == (502, "upstream_unreachable")
        await judge.close()


@pytest.mark.parametrize("kind", JUDGES)
async def test_a_vendor_that_says_nothing(vendor: Vendor, kind: str) -> None:
    slow = provider(vendor.url, timeouts={"first_token": "100ms"})
    config = settings(vendor, providers={"vendor": slow, "demo": {"kind": "demo"}})
    async with gateway(config) as proxy:
        judge = JUDGES[kind](proxy.url, "sk-everything")
        vendor.say(before_head=[STALL])
        error = await caught(judge, chat(), openai.InternalServerError)
        assert (error.status_code, error.code, error.type) == (504, "upstream_timeout", "timeout")
        await judge.close()


async def test_a_vendor_that_hangs_up(judge: Judge, vendor: Vendor) -> None:
    vendor.say_raw(FIN)
    error = await caught(judge, chat(), openai.InternalServerError)
    assert (error.status_code, error.code) == (502, "upstream_reset")


async def test_a_stream_that_is_cut_raises(judge: Judge, vendor: Vendor) -> None:
    vendor.say(headers=wire.EVENT_STREAM, chunks=[*wire.chat_events(usage=True)[:3], FIN])
    with pytest.raises(openai.APIError, match="in the middle of its answer"):
        await judge.all(chat(stream=True))


async def test_an_error_event_of_the_vendor_raises(judge: Judge, vendor: Vendor) -> None:
    event = b'data: {"error":{"message":"overloaded","type":"server_error","code":null}}\n\n'
    vendor.say(headers=wire.EVENT_STREAM, chunks=[wire.chat_events()[0], event])
    with pytest.raises(openai.APIError, match="overloaded"):
        await judge.all(chat(stream=True))


async def test_retries_of_the_sdk_wait_as_long_as_the_vendor_says(
    judge: Judge, vendor: Vendor
) -> None:
    busy = wire.error_body("Slow down", "requests", "rate_limit_exceeded")
    for _ in range(2):
        vendor.say(429, [JSON, ("retry-after-ms", "20"), ("retry-after", "0.02")], busy)
    answer = await judge.ask(chat(), max_retries=2)
    assert answer.choices[0].message.content == "".join(wire.WORDS)
    counts = [request.header("x-stainless-retry-count") for request in vendor.requests]
    assert counts == ["0", "1", "2"]


async def test_the_sdk_s_retries_end(judge: Judge, vendor: Vendor) -> None:
    for _ in range(2):
        vendor.say(503, [JSON, ("retry-after-ms", "5")], wire.error_body("Overloaded"))
    error = await caught(judge, chat(), openai.InternalServerError, max_retries=1)
    assert error.status_code == 503
    assert vendor.calls == 2


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_the_sdk_does_not_retry_what_cannot_help(
    judge: Judge, vendor: Vendor, status: int
) -> None:
    vendor.say(status, [JSON], wire.error_body("No"))
    await caught(judge, chat(), VENDOR_SAYS[status], max_retries=3)
    assert vendor.calls == 1


async def test_x_should_retry_of_the_vendor_passes(judge: Judge, vendor: Vendor) -> None:
    vendor.say(503, [JSON, ("x-should-retry", "false")], wire.error_body("No"))
    await caught(judge, chat(), openai.InternalServerError, max_retries=3)
    assert vendor.calls == 1


RAW: dict[str, Callable[[Any], Any]] = {
    "chat": lambda c: c.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=HELLO
    ),
    "passthrough": lambda c: c.files.with_raw_response.retrieve("f"),
    "models": lambda c: c.models.with_raw_response.list(),
}


@pytest.mark.parametrize("name", RAW)
async def test_headers_of_an_answer(judge: Judge, vendor: Vendor, name: str) -> None:
    vendor.say(headers=[JSON, ("x-request-id", "req_vendor")], body=wire.chat_body())
    raw = await judge.ask(RAW[name])
    vendor.forget()
    assert raw.status_code == 200
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-request-id"] != "req_vendor"
    if name != "models":
        assert raw.headers["x-llm-proxy-provider"] == "vendor"
        assert raw.headers["x-llm-proxy-upstream-request-id"] == "req_vendor"


async def test_the_request_id_is_on_the_object(judge: Judge) -> None:
    answer = await judge.ask(chat())
    assert answer._request_id.startswith("req_")
    again = await judge.ask(chat())
    assert again._request_id != answer._request_id


async def test_a_stream_that_is_closed_early_lets_the_vendor_go(
    proxy: Gateway, vendor: Vendor
) -> None:
    vendor.say(headers=wire.EVENT_STREAM, chunks=[wire.chat_events()[0], STALL])
    async with AsyncOpenAI(base_url=proxy.url, api_key="sk-everything") as client:
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=HELLO, stream=True
        )
        async for _ in stream:
            break
        await stream.close()
    await vendor.gone.wait()
