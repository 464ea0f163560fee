"""The record that will be written at the end, whatever happens to the request from here on."""

from proxy.core.exchange import Exchange
from proxy.core.reply import Reply


def account(x: Exchange) -> Reply | None:
    """Have the request recorded when it ends. Raises Unrecordable."""
    x.runtime.ledger.admit()
    x.at_end(_settle)
    return None


def _settle(x: Exchange) -> None:
    runtime = x.runtime
    runtime.ledger.settle(x)
    if runtime.gate is not None:
        runtime.gate.settle(x)  # After the record, which says what each attempt used and cost.
