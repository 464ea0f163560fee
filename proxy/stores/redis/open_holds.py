"""Which holds of money are still open, read from the records of grants.

The keys are walked with SCAN, some hundred at a time, so that no server stands still for it; a hold
that is taken meanwhile may be missed and is found the next time. In a cluster the index of holds is
walked, which says neither their age nor whether they were corrected.
"""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import unquote

from proxy.core.quota import QuotaUnknown
from proxy.stores.redis.commands import command
from proxy.stores.redis.dial import NoRedis, ask, ask_all
from proxy.stores.redis.link import Link
from proxy.stores.redis.node import Node

_AT_ONCE: Final = b"500"
_HEAD: Final = b"63"
"""Of a record no more is read than its first line: when, tokens, money."""

_OPEN = re.compile(rb"(\d+) \d+ ([1-9]\d*)\n")


async def of_one_server(node: Node, prefix: bytes, seconds: float) -> list[str]:
    """Ids of open holds of money that are older than that. Raises QuotaUnknown."""
    try:
        link = _link(node)
        clock = await ask(link, b"TIME")
        before = 1000 * int(clock[0]) + int(clock[1]) // 1000 - int(1000 * seconds)
        return [
            id
            async for keys in _keys(link, prefix + b"*")
            for id in await _open(link, prefix, keys, before)
        ]
    except NoRedis as error:
        raise QuotaUnknown(str(error)) from error


async def of_cluster(nodes: Sequence[Node], prefix: str) -> list[str]:
    """Ids of holds of money that have not been settled. Raises QuotaUnknown."""
    begin, end = f"{prefix}:{{hold:".encode(), b"}"
    try:
        return [
            unquote(key[len(begin) : -len(end)].decode())
            for node in nodes
            async for keys in _keys(_link(node), begin + b"*" + end)
            for key in keys
        ]
    except NoRedis as error:
        raise QuotaUnknown(str(error)) from error


def _link(node: Node) -> Link:
    if node.link is None:
        raise QuotaUnknown(node.failing() or "Redis cannot be asked")
    return node.link


async def _keys(link: Link, pattern: bytes) -> AsyncIterator[list[bytes]]:
    cursor = b"0"
    while True:
        cursor, keys = await ask(link, b"SCAN", cursor, b"MATCH", pattern, b"COUNT", _AT_ONCE)
        if keys:
            yield keys
        if cursor == b"0":
            return


async def _open(link: Link, prefix: bytes, keys: Sequence[bytes], before: int) -> list[str]:
    heads = await ask_all(link, [command(b"GETRANGE", key, b"0", _HEAD) for key in keys])
    found = []
    for key, head in zip(keys, heads, strict=True):
        record = _OPEN.match(head)
        if record is not None and int(record[1]) <= before:
            found.append(key[len(prefix) :].decode())
    return found
