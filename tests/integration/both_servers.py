"""Tests of the HTTP server run over both kinds: with `BOTH_SERVERS = True` in their module once
for each, else over the default alone. They ask for the fixture `http_server`, or for `proxy`, which
is built with it."""

from typing import get_args

import pytest

from proxy.server.listener import Kind

SERVERS: tuple[Kind, ...] = get_args(Kind)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "http_server" in metafunc.fixturenames and getattr(metafunc.module, "BOTH_SERVERS", False):
        metafunc.parametrize("http_server", SERVERS, indirect=True)


@pytest.fixture
def http_server(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = getattr(request, "param", SERVERS[0])
    return kind
