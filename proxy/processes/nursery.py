"""The supervisor's children: started in their places, heard, collected when they end.

A place outlives the children in it. What a child says and that it ended are told to one parent, in
order: its end comes after its last message, however fast it died.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from proxy.base.tasks import Tasks
from proxy.processes.backoff import Backoff
from proxy.processes.child import Child, start
from proxy.processes.messages import Message

log = logging.getLogger("llm-proxy.supervisor")


@dataclass(slots=True, eq=False)
class Place:
    """Where one child runs, and its successors after it. `child`: the one that is to serve now.
    `listens`: it is a worker, for which there may be no listener yet."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    listens: bool = False
    listener: socket.socket | None = None
    child: Child | None = None
    backoff: Backoff = field(default_factory=Backoff)


class Parent(Protocol):
    """Who is told about the children."""

    def child_started(self, place: Place, child: Child) -> None: ...

    def child_not_started(self, place: Place, error: OSError) -> None: ...

    def child_said(self, place: Place, child: Child, message: Message) -> None: ...

    def child_ended(self, place: Place, child: Child, code: int) -> None: ...


class Nursery:
    """All child processes of one supervisor."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._all: set[Child] = set()
        self._by_pid: dict[int, Child] = {}
        self._tasks = Tasks()

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._all))

    def fill(self, place: Place, delay: float = 0.0) -> None:
        """Start a child in `place` after `delay` seconds."""
        _ = self._tasks.spawn(self._raise(place, delay), name=place.name)

    def collect(self) -> None:
        """Take in every process that has ended; to be called on SIGCHLD."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # As process 1 we inherit orphans that are not ours; to be collected is all they need.
            if (child := self._by_pid.pop(pid, None)) is not None:
                child.has_ended(status)

    async def close(self) -> None:
        """Stop listening to the children and starting new ones. What still runs sees us gone."""
        await self._tasks.cancel()

    async def _raise(self, place: Place, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            child = await start(place.name, place.module, place.arguments, listens=place.listens)
        except OSError as error:
            self._parent.child_not_started(place, error)
            return
        self._by_pid[child.pid] = place.child = child
        self._all.add(child)
        self._parent.child_started(place, child)
        try:
            while (message := await child.channel.receive()) is not None:
                self._parent.child_said(place, child, message)
        except Exception:
            # A bug of ours. A child that nobody hears any more would never be replaced.
            log.exception(
                "cannot listen to %s (pid %d) any more: killing it", child.name, child.pid
            )
            child.kill()
        code = await child.ended
        await child.channel.close()
        child.close_hatch()
        self._all.discard(child)
        self._parent.child_ended(place, child, code)
