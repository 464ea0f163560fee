"""Open breakers, shared by the workers of all hosts: what `Healths` tells goes to Redis and back.

Imported only where there is a Redis.
"""

from proxy.base.jsonio import JSONError, dumps, loads
from proxy.routing.health import Name
from proxy.routing.healths import Healths, Shared
from proxy.stores.redis.breakers import EVERY, Heard, RedisBreakers


class SharedBreakers:
    """Tells other workers which breakers are open here, and does as they say."""

    def __init__(
        self, url: str, healths: Healths, *, prefix: str = "llm-proxy", every: float = EVERY
    ) -> None:
        self._healths = healths
        self._redis = RedisBreakers(url, self._heard, prefix=prefix, every=every)
        healths.told = self._told

    async def run(self) -> None:
        """For ever; cancel it, then `close`."""
        await self._redis.run()

    async def connected(self) -> None:
        """Return when Redis was reached."""
        await self._redis.connected()

    async def close(self) -> None:
        """Send what waits, and let go."""
        self._healths.told = None
        await self._redis.close()

    def _told(self, name: Name, seconds: float | None, cause: str) -> None:
        if seconds is None:
            self._redis.closed(dumps(list(name)))
        else:
            self._redis.opened(dumps(list(name)), seconds, cause)

    def _heard(self, heard: Heard) -> None:
        found: dict[Name, Shared] = {}
        for text, (left, cause) in heard.items():
            try:
                route, provider, model = loads(text)
            except (JSONError, ValueError, TypeError):
                continue  # Of another version.
            found[Name(route, provider, model)] = Shared(left, cause)
        self._healths.hear(found)
