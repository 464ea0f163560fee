"""Base URLs, read strictly."""

import pytest

from proxy.upstream.origin import Origin


@pytest.mark.parametrize(
    ("url", "origin", "path", "host"),
    [
        ("https://api.openai.com/v1", ("https", "api.openai.com", 443), "/v1", b"api.openai.com"),
        (
            "https://API.OpenAI.com:443/v1/",
            ("https", "api.openai.com", 443),
            "/v1",
            b"api.openai.com",
        ),
        ("http://localhost:11434", ("http", "localhost", 11434), "", b"localhost:11434"),
        ("http://localhost:443/", ("http", "localhost", 443), "", b"localhost:443"),
        ("http://[::1]:8000/a/b", ("http", "::1", 8000), "/a/b", b"[::1]:8000"),
        ("http://[2001:db8::1]/", ("http", "2001:db8::1", 80), "", b"[2001:db8::1]"),
        (" http://10.0.0.1/v1 ", ("http", "10.0.0.1", 80), "/v1", b"10.0.0.1"),
        (
            "https://bücher.example/x",
            ("https", "xn--bcher-kva.example", 443),
            "/x",
            b"xn--bcher-kva.example",
        ),
        ("http://my_service:80", ("http", "my_service", 80), "", b"my_service"),
    ],
)
def test_good_urls(url: str, origin: tuple[str, str, int], path: str, host: bytes) -> None:
    parsed, base = Origin.parse(url)
    assert (parsed.scheme, parsed.host, parsed.port) == origin
    assert base == path
    assert parsed.host_header == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://host/",
        "http://",
        "http:///path",
        "http://user:secret@host/",
        "http://host:port/",
        "http://host:0/",
        "http://host:99999/",
        "http://host/?q=1",
        "http://host/#f",
        "http://ho st/",
        "http://host\r\nX: 1/",
        "http://a,b/",
        "http://host/a b",
        "http://host/é",
    ],
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        Origin.parse(url)
    assert "secret" not in str(caught.value)


def test_addresses_for_people() -> None:
    assert Origin("https", "::1", 443).address == "[::1]:443"
    assert Origin("https", "a.example", 443).address == "a.example:443"
