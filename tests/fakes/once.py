"""What is dear to start and may be shared: once per test process.

To pytest a fixture that several modules import is several fixtures, each with a value of its own: a
session's server became one per importing module, all of them running until the end. Here the first
fixture that asks starts it. pytest takes fixtures of one scope down in the opposite order, so that
the first is also the last, and ends it.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import pytest

T = TypeVar("T")


@contextlib.contextmanager
def once(
    config: pytest.Config, key: pytest.StashKey[T], start: Callable[[], AbstractContextManager[T]]
) -> Iterator[T]:
    """What `start` makes, shared by all that name the same key."""
    if key in config.stash:
        yield config.stash[key]
        return
    with start() as made:
        config.stash[key] = made
        yield made
        del config.stash[key]
