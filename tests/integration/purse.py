"""A gateway whose keys have budgets, and a look at what was spent of them.

The model `m` costs 1 USD for a million tokens of input and 2 for output: 1,000 and 2,000 nano-USD
a token. `store: none`, so nothing was spent before a test.
"""

from typing import Any

from proxy.core.quota import Demand, QuotaExceeded, Rule
from tests.fakes.vendor import Vendor
from tests.integration.gateway import ALL, Gateway, provider, target

KEY, OTHER = ALL, "sk-other"
IN, OUT = 1000, 2000
PRICE = {"input": 1, "output": 2}


def limited(vendor: Vendor, **more: Any) -> dict[str, Any]:
    """A configuration; `key` has what the first key has, the rest replaces sections."""
    key: dict[str, Any] = more.pop("key", {})
    return {
        "listen": "127.0.0.1:0",
        "store": "none",
        "providers": {"vendor": provider(vendor.url)},
        "models": {
            "m": {"targets": [target("vendor", "m-1")], "price": PRICE},
            "gpt-4o": {"targets": [target("vendor", "gpt-4o")]},
            "unpriced": {"targets": [target("vendor", "nobody-knows")]},
        },
        "passthrough": {"provider": "vendor"},
        "keys": [{"name": "purse", "key": KEY, **key}, {"name": "other", "key": OTHER}],
        **more,
    }


def budget(usd: float | str, **more: Any) -> dict[str, Any]:
    return {"budgets": [{"amount": str(usd), "period": "day", **more}]}


def walls(proxy: Gateway, measure: str, name: str = "purse") -> tuple[Rule, ...]:
    """The rules of a key."""
    built = proxy.app._built
    assert built is not None and built.runtime.callers is not None
    (found,) = [each.walls for each in built.runtime.callers.values() if each.name == name]
    return tuple(r for r in (*found.rates, *found.budgets) if r.measure == measure)


async def taken(proxy: Gateway, measure: str, name: str = "purse") -> list[int]:
    """What is spent and held, or taken, of each of them now; all, where there is no room."""
    stores = proxy.app._stores
    assert stores is not None
    rules = tuple(walls(proxy, measure, name))
    try:
        grant = await stores.shared.bind(rules).take(Demand("look"))
    except QuotaExceeded:
        return [rule.limit for rule in rules]
    levels = grant.levels()
    grant.cancel()
    mine = 1 if measure in {"requests", "concurrency"} else 0
    return [level.rule.limit - level.remaining - mine for level in levels]


async def spent(proxy: Gateway) -> int:
    """Nano-USD of the first budget."""
    return (await taken(proxy, "money"))[0]
