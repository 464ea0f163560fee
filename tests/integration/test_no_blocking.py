"""The watch over blocking calls, which all tests run under, does watch."""

import asyncio
from pathlib import Path

import pytest
from blockbuster import BlockingError

from proxy.config.load import load


async def test_a_blocking_call_of_the_proxy_in_the_loop_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    await asyncio.to_thread(file.write_text, "auth: none\n")
    with pytest.raises(BlockingError):
        load(file, env={})
    await asyncio.to_thread(load, file, env={})
