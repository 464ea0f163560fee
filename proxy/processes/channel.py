"""One end of the socket pair between the supervisor and a child.

Sending never waits: frames are small or rare, and a peer that does not read is found by its exit,
not by a blocked sender. The end of the stream is a message of its own kind: the other process is
gone, however it died, because nobody else holds the other end (all descriptors close on exec).
"""

import asyncio
import socket

from proxy.processes.messages import PREFIX, Message, decode, encode


class Channel:
    """Typed messages over a connected stream socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """Take over `end`: the channel closes it."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    @classmethod
    async def inherited(cls, descriptor: int) -> "Channel":
        """The child's end, by the number on its command line. Its own children do not get it."""
        end = socket.socket(fileno=descriptor)
        end.set_inheritable(False)
        return await cls.over(end)

    def send(self, message: Message) -> None:
        """Queue `message`. Without effect when the other end is gone."""
        if not self._writer.is_closing():
            self._writer.write(encode(message))

    async def receive(self) -> Message | None:
        """The next message, or None when the other process is gone."""
        try:
            head, payload = PREFIX.unpack(await self._reader.readexactly(PREFIX.size))
            frame = await self._reader.readexactly(head + payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return decode(frame[:head], frame[head:])

    async def close(self) -> None:
        """Send what is queued, then close. Idempotent."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # The other process died first; there is nobody to tell.
