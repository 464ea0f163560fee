"""The encodings are loaded once for all tests of this folder."""

import pytest

from proxy.usage.tokens.encodings import Encodings


@pytest.fixture(scope="session")
def encodings() -> Encodings:
    """The real ones, from the wheel."""
    loaded = Encodings()
    loaded.get("o200k_base")
    loaded.get("cl100k_base")
    return loaded
