"""The contract of core/quota.py: what the memory and the Redis store must both keep.

A test module of a store has a fixture `make_store` (quota_driven.py) and one class:

    class TestMyStore(QuotaContract):
        "My store keeps the contract."
"""

from tests.unit.stores_quota.quota_contract_grants import GrantsContract
from tests.unit.stores_quota.quota_contract_limits import LimitsContract
from tests.unit.stores_quota.quota_contract_money import MoneyContract, RolloverContract
from tests.unit.stores_quota.quota_contract_random import RandomContract
from tests.unit.stores_quota.quota_contract_scopes import ScopesContract


class QuotaContract(
    LimitsContract,
    MoneyContract,
    RolloverContract,
    GrantsContract,
    ScopesContract,
    RandomContract,
):
    """Everything."""
