"""For every test: a blocking call inside the event loop, made by the proxy's own code, fails it;
collections are quick; hypothesis tries few examples, at night many (tests/examples.py)."""

import gc
from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx

from tests import examples

examples.register()


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Raise BlockingError where code of `proxy` would make the loop wait for a disk or a sleep."""
    with blockbuster_ctx("proxy") as watch:
        # A record is written before the answer is whole, so in the loop: one append to the page
        # cache, and once in 64 MiB a new file.
        for name in ("os.write", "os.rename", "os.mkdir", "os.stat"):
            watch.functions[name].can_block_in("proxy/usage/spool.py", "_write")
        yield


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> None:
    """What is there before a module's tests stays: one that collects garbage looks at its own only.

    Without it more processor time goes into collections than into tests: many collect at their end,
    and all the tests that pytest has found are a million objects.
    """
    gc.collect()
    gc.freeze()
