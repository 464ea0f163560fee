"""The record that will be written at the end, whatever happens to the request from here on."""

from proxy.core.exchange import Exchange
from proxy.core.reply import Reply


async def account(x: Exchange) -> Reply | None:
    """Have the request recorded when it ends. Raises Unrecordable."""
    ledger = x.runtime.ledger
    ledger.admit()
    x.at_end(ledger.settle)
    return None
