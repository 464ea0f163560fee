"""The worker's counter of tokens: made once and handed from one runtime to the next, since what it
knows (loaded encodings, vendors that name no usage) is not part of the configuration."""

from pathlib import Path

from proxy.build.accounting import keeps_records
from proxy.build.walls import has_walls
from proxy.config.overlay import process_environment
from proxy.config.settings import Settings
from proxy.core.counting import NoCounter, TokenCounter
from proxy.usage.tokens.counter import ThreadCounter
from proxy.usage.tokens.encodings import Encodings

CACHE_VARIABLE = "TIKTOKEN_CACHE_DIR"


def token_counter(settings: Settings) -> TokenCounter:
    """A counter for a worker that has none. Nothing is read or started before it is needed."""
    if not (keeps_records(settings) or has_walls(settings)):
        return NoCounter()
    folder = process_environment().get(CACHE_VARIABLE)
    return ThreadCounter(Encodings(Path(folder) if folder else None))
