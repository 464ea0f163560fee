"""For every test: a blocking call inside the event loop, made by the proxy's own code, fails it."""

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Raise BlockingError where code of `proxy` would make the loop wait for a disk or a sleep."""
    with blockbuster_ctx("proxy"):
        yield
