"""Messages through a real socket pair."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest

from proxy.processes.channel import Channel
from proxy.processes.messages import (
    PREFIX,
    Configure,
    Drain,
    Invalid,
    Layout,
    Leaving,
    Loaded,
    Message,
    Ready,
    Refused,
    Reload,
    encode,
)

LAYOUT = Layout("::1", 0, ("cert.pem", "key.pem"), 2, 30.0, "info", "json", "d1")
MESSAGES: list[Message] = [
    Configure("3f2a", b'{"\xff": 1}\n\x00'),
    Drain(0.5),
    Ready("3f2a"),
    Refused("3f2a", "no such file: ü\n"),
    Leaving(),
    Reload(),
    Loaded("3f2a", LAYOUT, b"\x00" * 300_000),
    Loaded("3f2a", Layout("localhost", 1, None, 1, 0.0, "debug", "text", "d1"), b""),
    Invalid("a.yaml:1:2: bad\nb.yaml:3:4: worse"),
]


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Channel, Channel]]:
    left, right = socket.socketpair()
    ends = await Channel.over(left), await Channel.over(right)
    yield ends
    for end in ends:
        await end.close()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
async def test_a_message_arrives_as_it_was_sent(
    pair: tuple[Channel, Channel], message: Message
) -> None:
    pair[0].send(message)
    assert await pair[1].receive() == message


async def test_messages_keep_their_order_whatever_their_size(
    pair: tuple[Channel, Channel],
) -> None:
    for message in MESSAGES:
        pair[0].send(message)
    assert [await pair[1].receive() for _ in MESSAGES] == MESSAGES


async def test_a_frame_may_come_byte_by_byte() -> None:
    left, right = socket.socketpair()
    end = await Channel.over(right)
    for message in (MESSAGES[0], MESSAGES[3]):
        receiving = asyncio.gather(end.receive())
        for byte in encode(message):
            assert not receiving.done()
            left.send(bytes([byte]))
            await asyncio.sleep(0)
        assert list(await receiving) == [message]
    left.close()
    await end.close()


@pytest.mark.parametrize("cut", [0, 1, PREFIX.size, PREFIX.size + 3])
async def test_the_end_of_the_other_process_is_none_even_within_a_frame(cut: int) -> None:
    left, right = socket.socketpair()
    end = await Channel.over(right)
    left.send(encode(Ready("3f2a"))[:cut])
    left.close()
    assert await end.receive() is None
    await end.close()


async def test_sending_to_a_process_that_is_gone_is_harmless() -> None:
    left, right = socket.socketpair()
    end = await Channel.over(right)
    left.close()
    for _ in range(10):
        end.send(Ready("3f2a"))
        await asyncio.sleep(0)
    assert await end.receive() is None
    await end.close()
    end.send(Ready("3f2a"))
    await end.close()


async def test_closing_sends_what_was_queued() -> None:
    left, right = socket.socketpair()
    sender, receiver = await Channel.over(left), await Channel.over(right)
    big = Configure("3f2a", b"x" * 5_000_000)
    sender.send(big)
    closing = asyncio.gather(sender.close(), receiver.receive())
    assert (await closing)[1] == big
    await receiver.close()


async def test_an_inherited_end_is_not_handed_on() -> None:
    left, right = socket.socketpair()
    right.set_inheritable(True)
    number = right.detach()
    end = await Channel.inherited(number)
    assert not os.get_inheritable(number)
    left.close()
    await end.close()


def test_only_what_cannot_change_while_we_run_is_fixed() -> None:
    older = Layout("127.0.0.1", 8080, None, 1, 30.0, "info", "json", "d1")
    assert Layout("127.0.0.1", 8080, None, 1, 5.0, "debug", "text", "d1").fixed_since(older) == []
    newer = Layout("127.0.0.1", 8081, ("c", "k"), 2, 30.0, "info", "json", "d2", "aiohttp")
    assert newer.fixed_since(older) == [
        "listen",
        "tls",
        "workers",
        "http_server",
        "store, data_dir or admin.listen",
    ]
