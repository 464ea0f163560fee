"""The README's first request works as it is written: its snippets against its configuration.

curl and Node may not be there: curl's line is read as curl would read it and sent from here; the
Node one is only compared with the Python one.
"""

import asyncio
import re
import shlex
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator

import pytest

from proxy.app import App
from proxy.base import jsonio
from proxy.config.load import load
from tests.guard.source_tree import ROOT

_ADDRESS = "127.0.0.1:8080"


def _snippet(language: str, holding: str) -> str:
    blocks: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S
    )
    [found] = [block for block in blocks if holding in block]
    assert _ADDRESS in found
    return found


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Where the example configuration is served."""
    snapshot = await asyncio.to_thread(load, ROOT / "config.example.yaml", env={})
    assert str(snapshot.settings.listen) == _ADDRESS
    app = App()
    listener = socket.create_server(("127.0.0.1", 0))
    await app.start(snapshot, listener)
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    await app.stop(1.0)


async def test_the_curl_snippet(address: str) -> None:
    line = _snippet("sh", "curl").replace(_ADDRESS, address).replace("\\\n", "")
    command, url, *options = shlex.split(line)
    pairs = list(zip(options[::2], options[1::2], strict=True))
    [body] = [value for name, value in pairs if name == "-d"]
    headers = dict(value.split(": ", 1) for name, value in pairs if name == "-H")
    assert command == "curl"
    assert {name for name, _ in pairs} == {"-H", "-d"}
    request = urllib.request.Request(url, body.encode(), headers)

    def send() -> bytes:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return bytes(answer.read())

    answer = jsonio.loads(await asyncio.to_thread(send))
    assert "Hello" in answer["choices"][0]["message"]["content"]


async def test_the_python_snippet(address: str) -> None:
    code = _snippet("python", "from openai").replace(_ADDRESS, address)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env={"NO_PROXY": "*"}
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    assert "Hello" in said.decode()


def test_the_node_snippet_asks_for_the_same() -> None:
    python, node = _snippet("python", "from openai"), _snippet("js", "OpenAI")
    for value in ('"http://127.0.0.1:8080/v1"', '"sk-demo"', '"chat-small"', '"Say hello"'):
        assert value in python
        assert value in node
