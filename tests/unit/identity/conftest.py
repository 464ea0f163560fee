"""Real keys, made once, and an identity provider for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.openid import OpenIdProvider
from tests.fakes.signing import SigningKey


@pytest.fixture(scope="session")
def rsa_key() -> SigningKey:
    return SigningKey.rsa("rsa")


@pytest.fixture(scope="session")
def other_key() -> SigningKey:
    """Of the same type, and not the issuer's."""
    return SigningKey.rsa("other")


@pytest.fixture(scope="session")
def ec_key() -> SigningKey:
    return SigningKey.ec("ec")


@pytest.fixture
async def provider(rsa_key: SigningKey, ec_key: SigningKey) -> AsyncIterator[OpenIdProvider]:
    async with OpenIdProvider() as found:
        found.keys = [rsa_key.jwk(), ec_key.jwk()]
        yield found
