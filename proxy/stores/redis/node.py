"""One server, kept connected: found, dialled, given its scripts, and dialled again when it goes.

Two kinds of commands. A question has somebody waiting: it is sent now or not at all. A statement (a
settlement) is true whenever it arrives and changes nothing when it arrives twice: it is sent until
the server has said that it knows, and waits here, bounded, while there is no server.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import hiredis

from proxy.stores.redis.commands import Scripts
from proxy.stores.redis.dial import NoRedis, Ready, ask
from proxy.stores.redis.link import Link, Waiter

log = logging.getLogger("llm-proxy.redis")

_FIRST_DELAY, _LONGEST_DELAY = 0.05, 1.0
MOST_WAITING = 100_000
"""Statements kept. One that is dropped leaves a hold that lapses, is charged, and is corrected."""

_PASSING = ("LOADING", "ASK", "MOVED", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM")
"""Errors of a server that will do the same command later."""

Word = Literal["finish", "renew", "plain"]
"""Which script a statement calls; `plain`: a command that is none."""

_TRIES = 4

Dial = Callable[[Callable[[str], None]], Awaitable[Ready]]


class Node:
    """A server, or the lack of it."""

    def __init__(self, dial: Dial, name: str) -> None:
        self.link: Link | None = None
        self.scripts: Scripts  # While there is a link.
        self.begun = asyncio.Event()  # Once it was reached.
        self.clock_ahead = 0.0  # Of our loop's clock, in seconds.
        self.dropped = 0
        self.moved: Callable[[str], bool] | None = (
            None  # Told of MOVED; whether it can be followed.
        )
        self.name = name
        self._dial = dial
        self._loading = False
        self._closing = False
        self._reason: str | None = f"not yet connected to Redis at {name}"
        self._lost = asyncio.Event()
        self._waiting: deque[Statement] = deque()

    @property
    def usable(self) -> bool:
        """Whether a question would be answered in time, as far as we know."""
        return self.link is not None and not self.link.stalled

    def failing(self) -> str | None:
        """Why questions are not answered, or None."""
        if self.link is not None and self.link.stalled:
            return f"Redis at {self.name} does not answer in time"
        if self.link is None and self._reason is None:
            return f"not connected to Redis at {self.name}"
        return self._reason

    async def keep(self) -> None:
        """Stay connected, until cancelled. The last connection remains."""
        delay = 0.0
        while True:
            try:
                self._lost.clear()
                ready = await self._connect()
            except NoRedis as error:
                self._note(f"Redis cannot be used: {error}")
                delay = min(max(2 * delay, _FIRST_DELAY), _LONGEST_DELAY)
                await asyncio.sleep(delay)
                continue
            delay = 0.0
            self._begin(ready)
            _ = await self._lost.wait()
            if self._closing:
                return

    async def _connect(self) -> Ready:
        ready = await self._dial(self._ended)
        if not ready.link.open:
            raise NoRedis(f"{self.name} closed the connection at once")
        return ready

    def ask(self, command: bytes, waiter: Waiter) -> None:
        """Send a question. Only while `usable`."""
        assert self.link is not None
        self.link.send(command, waiter)

    def state(self, statement: "Statement") -> None:
        """Send a statement again."""
        if self.usable:
            self.ask(statement.command(self.scripts), statement)
            return
        if len(self._waiting) >= MOST_WAITING:
            _ = self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(statement)

    def resume(self) -> None:
        """Send the statements that wait."""
        while self._waiting and self.usable:
            statement = self._waiting.popleft()
            self.ask(statement.command(self.scripts), statement)

    def understood(self, error: hiredis.ReplyError) -> bool:
        """Note a reply that is an error. True: the same command can be sent again at once."""
        text = str(error)
        word = text.partition(" ")[0]
        if word == "NOSCRIPT":
            self._load()
            return True
        if word == "MOVED" and self.moved is not None:
            return self.moved(text)
        self._note(f"Redis at {self.name} refuses: {text}")
        if word == "READONLY" and self.link is not None:
            self.link.close("the server has become a replica")
        return False

    def heard(self) -> None:
        """A command was answered as it should be."""
        self._reason = None
        if self._waiting:
            self.resume()

    async def drain(self, seconds: float) -> None:
        """Return when all that was told is known to the server, or the time is over."""
        with contextlib.suppress(TimeoutError, NoRedis):
            async with asyncio.timeout(seconds):
                while self.link is not None:
                    self.resume()
                    # Replies come in order: when this one comes, so have all before it.
                    _ = await ask(self.link, b"PING")
                    if not self._waiting:
                        return

    def hand_over(self) -> None:
        """Send what waits to where its counts are now."""
        waiting, self._waiting = self._waiting, deque()
        for statement in waiting:
            statement.lost()

    def close(self) -> None:
        """Let go now."""
        self._closing = True
        if self.link is not None:
            self.link.close(f"no longer connected to Redis at {self.name}")

    def _begin(self, ready: Ready) -> None:
        loop = asyncio.get_running_loop()
        self.link = ready.link
        self.scripts = ready.scripts
        self.clock_ahead = ready.clock - loop.time()
        if self._reason is not None:
            log.info("connected to Redis at %s", self.name)
        self._reason = None
        self.begun.set()
        self.resume()

    def _ended(self, reason: str) -> None:
        if self.link is not None:  # Else it ended while it was dialled, which has its own reason.
            self._note(reason)
        self.link = None
        self._loading = False
        self._lost.set()

    def _note(self, reason: str) -> None:
        if reason != self._reason and not self._closing:
            log.warning("%s", reason)
        self._reason = reason

    def _load(self) -> None:
        if self._loading or self.link is None:
            return
        self._loading = True
        for command in self.scripts.load:
            self.link.send(command, Loaded(self))

    def loaded(self) -> None:
        """The server knows the scripts again."""
        self._loading = False


class Loaded:
    """Waits for the reply to SCRIPT LOAD."""

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def answer(self, reply: Any) -> None:
        self._node.loaded()
        if isinstance(reply, hiredis.ReplyError):
            _ = self._node.understood(reply)

    def late(self) -> None:
        """The questions behind it are late too, and tell."""

    def lost(self) -> None:
        """A new connection loads the scripts anew."""


class Seat:
    """Where some counts live at present."""

    __slots__ = ("__weakref__", "alone", "node", "slot")

    def __init__(self, node: Node, slot: int | None = None) -> None:
        """`slot`: of a cluster, which takes nothing for several slots in one command."""
        self.node = node
        self.slot = slot
        self.alone = slot is not None

    def tell(self, word: Word, rest: bytes) -> None:
        """Send a statement, now or as soon as that is possible."""
        node = self.node
        link = node.link
        statement = Statement(self, word, rest)
        if link is None or link.stalled:
            node.state(statement)
        else:
            link.send(statement.command(node.scripts), statement)

    def finish(self, record: bytes, said: bytes) -> None:
        """Tell of the end of a grant, with others that end in this turn of the loop."""
        link = self.node.link
        if link is None or link.stalled or self.alone:
            self.tell("finish", record + said)
        else:
            link.settle(self, record, said)

    def state_finish(self, rest: bytes) -> None:
        """Tell of it again, alone."""
        self.node.state(Statement(self, "finish", rest))


class Statement:
    """A command that is sent until it is answered."""

    __slots__ = ("_rest", "_seat", "_tries", "_word")

    def __init__(self, seat: Seat, word: Word, rest: bytes) -> None:
        self._word = word
        self._rest = rest
        self._seat = seat
        self._tries = 0

    def command(self, scripts: Scripts) -> bytes:
        """What is sent; the scripts are known once there is a server."""
        if self._word == "finish":
            return scripts.finish + self._rest
        return scripts.renew + self._rest if self._word == "renew" else self._rest

    def answer(self, reply: Any) -> None:
        node = self._seat.node
        if not isinstance(reply, hiredis.ReplyError):
            node.heard()
            self.done(reply)
            return
        self._tries += 1
        if node.understood(reply) and self._tries < _TRIES:
            self._seat.node.state(self)
        elif str(reply).startswith(_PASSING):
            self._tries = 0
            _ = asyncio.get_running_loop().call_later(_LONGEST_DELAY, self.lost)
        else:
            log.error("Redis did not take a settlement: %s", reply)

    def done(self, reply: Any) -> None:
        """The server knows."""

    def late(self) -> None:
        """Nobody waits."""

    def lost(self) -> None:
        self._seat.node.state(self)
