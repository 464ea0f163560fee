"""Redis keeps the contract of core/quota.py."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.fakes.redis import redis, redis_server
from tests.unit.stores_quota.quota_contract import QuotaContract
from tests.unit.stores_quota.quota_driven import WEDNESDAY_NOON, Driven, MakeStore
from tests.unit.stores_quota.quota_redis_driven import DrivenRedis, running

__all__ = ["redis", "redis_server"]


@pytest.fixture
async def make_store(redis: str) -> AsyncIterator[MakeStore]:
    """Makes stores on the server of this process, each with counts of its own."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(at: float = WEDNESDAY_NOON) -> Driven:
            driven = DrivenRedis(redis, at)
            _ = await stack.enter_async_context(running(driven.store))
            return driven

        yield make


class TestRedis(QuotaContract):
    """Redis keeps the contract."""
