"""What is taken out of log lines, and what is not."""

import pytest

from proxy.base.redact import Redactor, redact


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key sk-proj-abcDEF123_456 refused", "abcDEF123_456"),
        ("Incorrect API key provided: sk-demo.", "sk-demo"),
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ("{'authorization': 'Bearer zzzz1111'}", "zzzz1111"),
        ("bearer   hf_abcdefgh", "abcdefgh"),
        ("Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA=="),
        ("x-api-key: 0123456789abcdef", "0123456789abcdef"),
        ("(b'api-key', b'0123456789abcdef')", "0123456789abcdef"),
        ('{"api_key": "a1b2c3d4"}', "a1b2c3d4"),
        ("api_keys: [plain-secret]", "plain-secret"),
        ("https://host/v1?api-key=q1w2e3r4&x=1", "q1w2e3r4"),
        ("redis://user:pa55word@cache:6379/0", "pa55word"),
        ("http://:pa55word@proxy:3128", "pa55word"),
        ("AIzaSyA1234567890abcdefghij", "SyA1234567890"),
        ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
        ("gsk_abcdef123456 and xai-abcdef123456", "abcdef123456"),
    ],
)
def test_a_credential_is_gone(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "llm-proxy 0.1.0 ready on http://127.0.0.1:8080/v1 (config 3f2a9c0d1e2f, 1 worker)",
        "config.yaml:3:5: unknown key `prot`; did you mean `port`?",
        "risk-assessment and task-1234 of disk-0001",
        "worker-0 (pid 12) died: signal SIGKILL; starting it again in 0.1 s",
        "request req_0193a1b2c3d4e5f60718 took 12 ms, max_tokens=4096",
        "http://[::1]:8080/v1 and https://api.openai.com/v1/models?limit=10",
        "the api key is missing",
    ],
)
def test_an_ordinary_line_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_the_rest_of_the_line_stays() -> None:
    assert redact("call with Bearer abcd1234 failed: 401") == "call with Bearer *** failed: 401"


def test_known_secrets_go_whatever_they_look_like() -> None:
    redactor = Redactor(["correct horse", "correct", "s/ecret", "abc"])
    assert redactor("correct horse, correct, s/ecret, s%2Fecret") == "***, ***, ***, ***"
    assert redactor("Bearer abcd1234") == "Bearer ***"
    assert redactor("abc is too short to be one") == "abc is too short to be one"
    assert "horse" not in repr(redactor)


def test_how_to_send_a_key_is_no_key() -> None:
    words = "send it as `Authorization: Bearer <key>`, `x-api-key` or `api-key`"
    assert redact(words) == words
    for text in ("Authorization: hunter22", "{'password': b'hunter22'}", "api_keys=['hunter22']"):
        assert "hunter22" not in redact(text)
