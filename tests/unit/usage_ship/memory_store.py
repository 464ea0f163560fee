"""A UsageStore in memory that can be away, lose answers and refuse records."""

import asyncio
from collections.abc import Collection, Sequence

from proxy.core.accounting import RecordsRefused, StoreAway
from proxy.wire.record_reader import Told


class MemoryStore:
    """`away` calls fail, one by one; `lost` calls take effect and fail; ids in `refused` never
    come in. `asked` is set at the end of every call."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.positions: dict[str, int] = {}
        self.away = 0
        self.lost = 0
        self.refused: frozenset[str] = frozenset()
        self.forgot: list[tuple[str, list[str]]] = []
        self.asked = asyncio.Event()

    async def position(self, segment: str) -> int:
        await self._be_there()
        return self.positions.get(segment, 0)

    async def ship(self, segment: str, start: int, end: int, records: Sequence[Told]) -> int:
        await self._be_there()
        if self.positions.get(segment, 0) != start:
            return self.positions.get(segment, 0)
        if self.refused.intersection(each.id for each in records):
            raise RecordsRefused("not that one")
        self.kept += [each.id for each in records]
        self.positions[segment] = end
        if self.lost:
            self.lost -= 1
            raise StoreAway("no answer")
        return end

    async def forget(self, spool: str, keep: Collection[str]) -> None:
        await self._be_there()
        self.forgot.append((spool, list(keep)))

    async def close(self) -> None:
        self.positions.clear()

    async def _be_there(self) -> None:
        await asyncio.sleep(0)
        self.asked.set()  # The rest of the call happens before anybody who waits runs.
        if self.away:
            self.away -= 1
            raise StoreAway("not now")
