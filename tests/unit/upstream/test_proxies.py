"""Which proxy leads to an origin."""

import pytest

from proxy.upstream.origin import Origin
from proxy.upstream.proxies import ProxyRoute, ProxySettings, choose

SETTINGS = ProxySettings(https="http://secure.proxy:3128", http="plain.proxy")


def through(url: str, no_proxy: str = "") -> str | None:
    settings = ProxySettings(SETTINGS.https, SETTINGS.http, no_proxy)
    route = choose(Origin.parse(url)[0], settings)
    return None if route is None else route.origin.address


def test_each_scheme_has_its_proxy() -> None:
    assert through("https://api.example") == "secure.proxy:3128"
    assert through("http://api.example") == "plain.proxy:80"
    assert choose(Origin("http", "a", 80), ProxySettings()) is None
    assert choose(Origin("http", "a", 80), ProxySettings(http=" ")) is None


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("*", True),
        ("api.example.com", True),
        ("API.Example.COM", True),
        ("example.com", True),
        (".example.com", True),
        ("*.example.com", True),
        ("ample.com", False),
        ("other, example.com", True),
        ("other example.com", True),
        ("example.com:443", True),
        ("example.com:8443", False),
        ("api.example.com.", False),
        ("example", False),
        ("10.0.0.0/8", False),
        ("", False),
        (" , ", False),
    ],
)
def test_no_proxy_by_name(no_proxy: str, direct: bool) -> None:
    assert (through("https://api.example.com", no_proxy) is None) is direct


def test_a_leading_dot_means_only_below() -> None:
    assert through("https://example.com", ".example.com") is not None
    assert through("https://example.com", "*.example.com") is not None
    assert through("https://example.com", "example.com") is None


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        ("http://10.1.2.3", "10.1.2.3", True),
        ("http://10.1.2.3", "10.0.0.0/8", True),
        ("http://10.1.2.3", "10.1.2.3/8", True),
        ("http://10.1.2.3:99", "10.0.0.0/8:99", True),
        ("http://11.1.2.3", "10.0.0.0/8", False),
        ("http://10.1.2.3", "10.1.2", False),
        ("http://[::1]", "::1", True),
        ("http://[::1]", "[::1]", True),
        ("http://[::1]:99", "[::1]:99", True),
        ("http://[::1]:98", "[::1]:99", False),
        ("http://[fd00::5]", "fd00::/8", True),
    ],
)
def test_no_proxy_by_address(url: str, no_proxy: str, direct: bool) -> None:
    assert (through(url, no_proxy) is None) is direct


def test_credentials_are_decoded_and_hidden() -> None:
    route = ProxyRoute.parse("http://us%40er:p%3Aw@proxy:8080")
    assert route.origin == Origin("http", "proxy", 8080)
    assert route.authorization is not None
    assert route.authorization.reveal() == "Basic dXNAZXI6cDp3"
    assert "dXNAZXI6cDp3" not in repr(route)
    assert "p%3Aw" not in repr(ProxySettings(https="http://us%40er:p%3Aw@proxy:8080"))


@pytest.mark.parametrize(
    "url", ["socks5://u:secret@h", "https://u:secret@h", "http://u:secret@h:x", "http://u:secret@"]
)
def test_bad_proxy_urls_do_not_show_their_password(url: str) -> None:
    with pytest.raises(ValueError, match="a proxy URL") as caught:
        ProxyRoute.parse(url)
    assert "secret" not in str(caught.value)
