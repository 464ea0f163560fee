"""What comes back: header fields that concern the caller, and errors in OpenAI's shape."""

import pytest

from proxy.base.errors import Refused, UpstreamError
from proxy.base.jsonio import loads
from proxy.core.ports import RawHeaders
from proxy.providers.openai import OpenAIAdapter
from proxy.wire.errors import envelope
from proxy.wire.headers import VendorHead
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import simple
from tests.fakes.wire import FakeAnswer, FakeTransport

KEY = b"sk-proj-abcdef1234567890"
X = simple(FakeTransport(), FakeIncoming(b"{}"))


def error(status: int, body: bytes, headers: RawHeaders = ()) -> UpstreamError:
    return OpenAIAdapter().error(X, FakeAnswer([], headers, status), body)


def test_the_vendors_request_id_has_a_name_of_its_own() -> None:
    head = VendorHead(((b"X-Request-Id", b"v1"), (b"Set-Cookie", b"c"), (b"a", b"b")))
    assert OpenAIAdapter().headers(X, head) == [
        (b"a", b"b"),
        (b"x-llm-proxy-upstream-request-id", b"v1"),
    ]
    assert OpenAIAdapter().headers(X, VendorHead(())) == []


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429, 500, 503, 529])
def test_openais_shape_passes_as_it_is(status: int) -> None:
    body = b'{ "error": {"message": "m", "type": "t", "extra": 1.0} }'
    found = error(status, body)
    assert found.status == status
    assert envelope(found) == body


def test_headers_that_concern_the_caller_pass() -> None:
    headers = (
        (b"Retry-After", b"7"),
        (b"x-ratelimit-remaining-tokens", b"0"),
        (b"Content-Type", b"text/html"),
        (b"Content-Encoding", b"br"),
        (b"Content-Length", b"9"),
        (b"Set-Cookie", b"c"),
    )
    found = error(429, b"", headers)
    assert found.headers == headers[:2]


@pytest.mark.parametrize("body", [b"", b'{"error":{"message":"bad ' + KEY + b'"}}', b"<html>"])
def test_refused_credentials_are_the_operators_business(body: bytes) -> None:
    found = error(401, body)
    assert (found.status, found.code) == (502, "upstream_authentication")
    assert found.headers == ((b"x-should-retry", b"false"),)
    assert KEY not in envelope(found)
    assert b"credentials" in envelope(found)


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (400, "invalid_request_error"),
        (404, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "upstream_error"),
        (503, "upstream_error"),
    ],
)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><body>Bad Gateway: 10.0.0.7</body></html>", "no reason that can be read"),
        (b"", "no reason that can be read"),
        (b'{"detail":"too long"}', "too long"),
        (b'{"message":"no ' + KEY + b'"}', "no ***"),
        (b'{"error":"plain"}', "plain"),
        (b"\xff\xfe", "no reason that can be read"),
    ],
)
def test_other_shapes_are_told_in_openais(status: int, type_: str, body: bytes, words: str) -> None:
    found = error(status, body)
    assert isinstance(found, Refused)
    assert loads(envelope(found))["error"] == {
        "message": f"the vendor answered {status}: {words}",
        "type": type_,
        "param": None,
        "code": "rate_limit_exceeded" if status == 429 else "upstream_error",
    }


@pytest.mark.parametrize("secret", [KEY, b"Bearer abc"])
def test_what_looks_like_a_key_is_scrubbed_and_json_stays_json(secret: bytes) -> None:
    body = b'{"error":{"message":"Incorrect API key provided: %b","type":"t","n":1.50}}' % secret
    told = envelope(error(400, body))
    assert secret not in told
    assert loads(told)["error"]["type"] == "t"
    assert b'"n":1.50' in told
