"""The worker's side of accounting: the spool it writes to, and the ledger that writes.

The spool lives as long as the worker; the ledger is built with each runtime, because prices and the
policy for a spool that fails are part of the configuration.
"""

from functools import partial
from pathlib import Path

from proxy.build.walls import has_walls
from proxy.config.accounting import Price as PriceSettings
from proxy.config.settings import Settings
from proxy.core.hold_book import HoldBook
from proxy.core.ledger import Ledger
from proxy.usage.holds_book import SlotBook
from proxy.usage.holds_file import HoldsFile
from proxy.usage.holds_taken import holds_beside
from proxy.usage.ledger import NoLedger, SpoolLedger, UnwrittenLedger
from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import Price, from_usd
from proxy.usage.prices.table import PriceTable
from proxy.usage.recording import Identity
from proxy.usage.spool import Spool, SpoolOptions


def spool_folder(settings: Settings) -> Path:
    """Where workers leave their records and control picks them up."""
    return settings.data_dir / "spool"


def pulse_folder(settings: Settings) -> Path:
    """Where workers say how they are."""
    return settings.data_dir / "run"


def open_spool(settings: Settings, worker: str) -> Spool:
    """The spool of a worker. Nothing is created before the first record."""
    chosen = settings.spool
    options = SpoolOptions(chosen.sync, chosen.segment, chosen.age)
    return Spool(spool_folder(settings), worker, options)


def open_holds(settings: Settings, worker: str) -> HoldsFile:
    """Where the worker keeps its holds of money. Nothing is created before it is opened."""
    return HoldsFile(holds_beside(spool_folder(settings)), worker)


def hold_book(settings: Settings, pricer: Pricer, file: HoldsFile, worker: str) -> HoldBook | None:
    """The book of holds of a runtime; None where nothing is recorded."""
    if not keeps_records(settings):
        return None
    discreet = settings.telemetry.content == "none"
    return SlotBook(file, Identity(worker), pricer.version, discreet=discreet)


def price_table(settings: Settings) -> PriceTable:
    """The catalogue in force, read now so that no request waits for it."""
    table = PriceTable(partial(in_force, settings.data_dir))
    _ = table.catalogue
    return table


def keeps_records(settings: Settings) -> bool:
    """Whether usage is recorded at all."""
    return settings.store != "none"


def ledger(settings: Settings, pricer: Pricer, spool: Spool, worker: str) -> Ledger:
    """The ledger of a runtime. Where nothing is recorded and something is limited, what each
    attempt cost is found out all the same."""
    if not keeps_records(settings):
        return UnwrittenLedger(pricer) if has_walls(settings) else NoLedger()
    return SpoolLedger(
        spool,
        pricer,
        Identity(worker),
        refuse_when_failing=settings.spool.failure == "refuse",
        discreet=settings.telemetry.content == "none",
    )


def pricer(settings: Settings, table: PriceTable) -> Pricer:
    """The prices of a runtime."""
    vendors = {
        name: Vendor(provider.kind, provider.base_url)
        for name, provider in settings.providers.items()
    }
    own: dict[tuple[str, str], Price] = {}
    for model in settings.models.values():
        for target in model.targets:
            price = target.price or model.price
            if price is not None:
                own[target.provider, target.model] = _price(price)
    return Pricer(table, vendors, own)


def _price(settings: PriceSettings) -> Price:
    said = {name: getattr(settings, name) for name in type(settings).model_fields}
    return from_usd({name: str(usd) for name, usd in said.items() if usd is not None})
