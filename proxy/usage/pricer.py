"""From what an attempt used to what it cost, where a price is known.

An operator's own price for a target comes before the catalogue and stands alone: a class that it
does not name costs what the class it is part of costs. The version names the catalogue and the own
prices, so that a record always says by which prices it was made.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from proxy.base.clock import wall
from proxy.base.jsonio import dumps
from proxy.usage.cost import cost
from proxy.usage.prices.price import COLUMNS, FREE, Price
from proxy.usage.prices.table import PriceTable
from proxy.wire.record import Cost, Usage

_HASH_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Vendor:
    """What a configured provider is: its kind and where it is."""

    kind: str
    base_url: str = ""


class Attempted(Protocol):
    """The target of an attempt, by its provider's configured name and the model's name there."""

    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...


class Pricer:
    """Prices attempts. Immutable: a new configuration makes a new one."""

    __slots__ = ("_own", "_patterns", "_table", "_vendors", "version")

    def __init__(
        self,
        table: PriceTable,
        vendors: Mapping[str, Vendor],
        own: Mapping[tuple[str, str], Price] | None = None,
    ) -> None:
        """`own`: prices by provider and model, in which one `*` stands for anything."""
        own = own or {}
        self._table = table
        self._vendors = vendors
        self._own = {target: price for target, price in own.items() if "*" not in target[1]}
        self._patterns = tuple(
            (provider, model.partition("*"), price)
            for (provider, model), price in own.items()
            if "*" in model
        )
        self.version = table.version + (f"+{_digest(own)}" if own else "")

    def cost(
        self, attempt: Attempted, usage: Usage, tier: Callable[[], str] | None = None
    ) -> Cost | None:
        """What the attempt cost, or None when no price is known for all that it used. `tier` says
        in which service tier; it is asked only where that changes the price."""
        price = self.price(attempt.provider, attempt.model)
        if price is not None and price.tiers and tier is not None:
            name = tier()
            if name in price.tiers:
                price = self.price(attempt.provider, attempt.model, tier=name)
        return cost(usage, price) if price is not None and price.covers(usage) else None

    def price(
        self, provider: str, model: str, at: float | None = None, tier: str = ""
    ) -> Price | None:
        """The price of a target now, or at a time in seconds since the epoch."""
        if (own := self._own.get((provider, model)) or self._pattern(provider, model)) is not None:
            return own
        vendor = self._vendors.get(provider)
        if vendor is None:
            return None
        if vendor.kind == "demo":
            return FREE  # It runs in this process: known to cost nothing.
        moment = wall() if at is None else at
        return self._table.price(vendor.kind, vendor.base_url, model, moment, tier)

    def _pattern(self, provider: str, model: str) -> Price | None:
        for name, (begin, _, end), price in self._patterns:
            fits = len(model) >= len(begin) + len(end)
            if name == provider and fits and model.startswith(begin) and model.endswith(end):
                return price
        return None


def _digest(own: Mapping[tuple[str, str], Price]) -> str:
    rows = [
        [*target, *(getattr(price, name) for name in COLUMNS), sorted(price.missing)]
        for target, price in sorted(own.items(), key=lambda item: item[0])
    ]
    return hashlib.sha256(dumps(rows)).hexdigest()[:_HASH_DIGITS]
