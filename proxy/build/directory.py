"""Control's side of the directory: it follows the store and keeps the host's file up to date."""

from collections.abc import Callable

from proxy.base.secret import Secret
from proxy.build.lookup import source
from proxy.config.settings import Settings
from proxy.stores.directory.file import in_folder
from proxy.stores.directory.keeper import DirectoryKeeper
from proxy.stores.directory.writer import DirectoryWriter
from proxy.stores.postgres.identity_feed import PostgresFeed


def keeper(settings: Settings, address: Callable[[], str | None]) -> DirectoryKeeper:
    """What keeps the file. `address`: the store's, None while it is being started."""
    writer = DirectoryWriter(in_folder(settings.data_dir), source(settings))
    return DirectoryKeeper(PostgresFeed(address), writer)


def early_keeper(settings: Settings) -> DirectoryKeeper | None:
    """What keeps the file, where the store is there before control is; else None."""
    store = settings.store
    return keeper(settings, store.reveal) if isinstance(store, Secret) else None
