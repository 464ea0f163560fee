"""Opening balances: what was spent before this process began, fetched in the background.

Accounts that nobody asked for before wait here together; one call fetches what all of them need.
Until then they hold more than any budget (`accounts.UNKNOWN`), so hard ones refuse, after a moment
of patience. A fetch that fails is tried again soon.
"""

import asyncio
from collections.abc import Callable

from proxy.core.quota import Balances, QuotaUnknown, Rule, Wanted
from proxy.stores.memory.accounts import Account

PATIENCE = 1.0
"""Seconds that a request waits for a balance: rather a short wait than a refusal. While balances
cannot be had nobody waits."""

_FIRST_RETRY = 0.1
_LAST_RETRY = 0.2  # Requests are refused meanwhile, and a database starts in seconds.


class Openings:
    """Accounts whose opening balance is not known yet."""

    __slots__ = ("_answered", "_balances", "_retry", "_waiting", "_wall", "_wanted", "failure")

    def __init__(self, balances: Balances, wall: Callable[[], float]) -> None:
        self.failure: str | None = None
        self._balances = balances
        self._wall = wall
        self._waiting: dict[Account, Rule] = {}
        self._wanted = asyncio.Event()
        self._answered = asyncio.Event()
        self._retry = _FIRST_RETRY

    def want(self, account: Account, rule: Rule) -> None:
        """Have its balance fetched."""
        self._waiting[account] = rule
        self._wanted.set()

    async def known(self, patience: float) -> None:
        """Return when nothing is to be fetched any more or a fetch failed, or after so many
        seconds."""
        until = asyncio.get_running_loop().time() + patience
        while self._waiting and await self.answered(until):
            continue

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

    async def answered(self, until: float) -> bool:
        """Whether a fetch came to its end, well or not, before that time of the loop. Not waited
        for while fetches fail."""
        if self.failure is not None:
            return False
        try:
            async with asyncio.timeout_at(until):
                await self._answered.wait()
        except TimeoutError:
            return False
        return True

    async def fetch(self) -> None:
        """Fetch all that are wanted now."""
        self._wanted.clear()
        try:
            await self._fetch()
        finally:
            self._answered.set()  # Whoever waits looks again; who comes now waits for the next.
            self._answered = asyncio.Event()

    async def _fetch(self) -> None:
        self._drop_needless()
        if not self._waiting:
            self.failure = None
            return
        asked = self._waiting.copy()
        try:
            spent = await self._balances.spent(_wanted(asked))
        except QuotaUnknown as error:
            self.failure = f"opening balances are not known: {error}"
            return
        self.failure = None
        self._retry = _FIRST_RETRY
        self._drop_needless()  # Where the window ended meanwhile, nobody knows which was meant.
        for account, found in zip(asked, spent, strict=True):
            if self._waiting.pop(account, None) is not None:
                account.open(found.present, found.earlier)

    def _drop_needless(self) -> None:
        at = self._wall()
        needed = {
            account: rule
            for account, rule in self._waiting.items()
            if account.live and account.opens_at(at)
        }
        self._waiting = needed


def _wanted(asked: dict[Account, Rule]) -> tuple[Wanted, ...]:
    # What a hard budget cannot know yet it has refused: of our own records nothing is counted. A
    # soft one has counted since it was made.
    return tuple(
        Wanted(rule, None if rule.hard else account.made) for account, rule in asked.items()
    )
