"""Opening balances: what was spent before this process began, fetched in the background.

Accounts that nobody asked for before wait here together; one call fetches what all of them need.
Until then they hold more than any budget (`accounts.UNKNOWN`), so hard ones refuse. A fetch that
fails is tried again, less and less often.
"""

import asyncio
from collections.abc import Callable

from proxy.core.quota import Balances, QuotaUnknown, Rule
from proxy.stores.memory.accounts import Account

_FIRST_RETRY = 0.1
_LAST_RETRY = 5.0


class Openings:
    """Accounts whose opening balance is not known yet."""

    __slots__ = ("_balances", "_retry", "_waiting", "_wall", "_wanted", "failure")

    def __init__(self, balances: Balances, wall: Callable[[], float]) -> None:
        self.failure: str | None = None
        self._balances = balances
        self._wall = wall
        self._waiting: dict[Account, Rule] = {}
        self._wanted = asyncio.Event()
        self._retry = _FIRST_RETRY

    def want(self, account: Account, rule: Rule) -> None:
        """Have its balance fetched."""
        self._waiting[account] = rule
        self._wanted.set()

    async def wanted(self, patience: float) -> None:
        """Return when there is something to fetch, or after so many seconds."""
        if self.failure is not None:
            await asyncio.sleep(self._retry)
            self._retry = min(2 * self._retry, _LAST_RETRY)
            return
        try:
            async with asyncio.timeout(patience):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def fetch(self) -> None:
        """Fetch all that are wanted now."""
        self._wanted.clear()
        self._drop_needless()
        if not self._waiting:
            self.failure = None
            return
        asked = self._waiting.copy()
        try:
            spent = await self._balances.spent(tuple(asked.values()))
        except QuotaUnknown as error:
            self.failure = f"opening balances are not known: {error}"
            return
        self.failure = None
        self._retry = _FIRST_RETRY
        self._drop_needless()  # Where the window ended meanwhile, nobody knows which was meant.
        for account in asked.keys() & self._waiting.keys():
            account.open(spent.get(asked[account].key, 0))
            del self._waiting[account]

    def _drop_needless(self) -> None:
        at = self._wall()
        needed = {
            account: rule
            for account, rule in self._waiting.items()
            if account.live and account.opens_at(at)
        }
        self._waiting = needed
