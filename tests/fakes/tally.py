"""A number that only grows, and that a test can wait for."""

import asyncio


class Tally:
    """Counts what happened. `await tally.wait()` is the first time, `reach(n)` the n-th."""

    def __init__(self) -> None:
        self.value = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def add(self) -> None:
        self.value += 1
        for wanted, future in self._waiting:
            if wanted <= self.value and not future.done():
                future.set_result(None)

    def is_set(self) -> bool:
        return self.value > 0

    async def wait(self) -> None:
        await self.reach(1)

    async def reach(self, wanted: int) -> None:
        """Return when the value is at least `wanted`."""
        if self.value >= wanted:
            return
        entry = (wanted, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            await entry[1]
        finally:
            self._waiting.remove(entry)

    def __repr__(self) -> str:
        return f"Tally({self.value})"
