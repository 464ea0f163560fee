"""The listening socket gets to a worker that was started before there was one."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from proxy.processes.channel import Channel
from proxy.processes.child import Child
from proxy.processes.worker import taken
from tests.guard.source_tree import ROOT


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Child, socket.socket]]:
    """A child as its parent sees it, and its end of the hatch."""
    ours, theirs = socket.socketpair()
    hatch, inner = socket.socketpair()
    process = await asyncio.to_thread(subprocess.Popen, ["true"])
    channel = await Channel.over(ours)
    child = Child("worker-0", process, channel, hatch)
    yield child, inner
    child.close_hatch()
    await channel.close()
    theirs.close()
    inner.close()
    await asyncio.to_thread(process.wait)


async def test_it_is_the_same_socket_and_no_program_that_is_started_gets_it(
    ends: tuple[Child, socket.socket],
) -> None:
    child, inner = ends
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child.give(listener)
        with taken(inner) as found:
            assert found.getsockname() == listener.getsockname()
            assert found.fileno() != listener.fileno()
            assert not found.get_inheritable()
    assert inner.fileno() == -1


async def test_one_that_is_gone_is_given_nothing(ends: tuple[Child, socket.socket]) -> None:
    child, inner = ends
    inner.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child.give(listener)


async def test_without_a_socket_nothing_is_served(ends: tuple[Child, socket.socket]) -> None:
    child, inner = ends
    child.close_hatch()
    with pytest.raises(OSError, match="no socket to accept on"):
        taken(inner)


def test_a_program_is_begun_by_its_name_and_gets_its_arguments() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "proxy.processes.launch", "proxy.cli.main", "version"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("llm-proxy ")
