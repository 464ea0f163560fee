"""Zones are read before the loop runs, and the contract's assertions explain themselves."""

import pytest

from proxy.base import periods

for part in (
    "driven",
    "contract_grants",
    "contract_limits",
    "contract_money",
    "contract_random",
    "contract_scopes",
):
    pytest.register_assert_rewrite(f"tests.unit.stores_quota.quota_{part}")


@pytest.fixture(scope="session", autouse=True)
def known_zones() -> None:
    """As the composition root does for the zones of the configuration."""
    periods.load("Asia/Tokyo")
