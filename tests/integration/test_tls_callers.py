"""TLS towards callers, by files that the configuration names, over both HTTP servers."""

import ssl
from pathlib import Path

import pytest
import trustme

from proxy.server.listener import Kind
from tests.fakes.vendor import Vendor
from tests.integration.gateway import gateway, settings
from tests.integration.raw_caller import Caller

BOTH_SERVERS = True
BOTH_LOOPS = True

CHAT = "/v1/chat/completions"
LONG = b'{"model":"gpt-4o-mini","pad":"' + b"x" * 300_000 + b'"}'


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


async def test_callers_are_served_over_tls(
    vendor: Vendor, http_server: Kind, authority: trustme.CA, tmp_path: Path
) -> None:
    issued = authority.issue_cert("gateway.test")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    issued.private_key_pem.write_to_path(tmp_path / "server.key")
    files = {"certificate": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.key")}
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with (
        gateway(settings(vendor, http_server=http_server, tls=files)) as proxy,
        await Caller.connect_tls(proxy.port, context, "gateway.test") as caller,
    ):
        for body in (b'{"model":"gpt-4o-mini"}', LONG, b'{"model":"gpt-4o-mini"}'):
            answer = await caller.ask("POST", CHAT, body=body)
            assert answer.status == 200
            assert vendor.requests[-1].body == body
        await caller.send(b"nonsense\r\n\r\n")
        assert (await caller.answer()).error["code"] == "bad_http"
        assert await caller.rest() == b""
