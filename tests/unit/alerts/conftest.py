"""PostgreSQL for these tests."""

from tests.fakes.postgres import postgres, postgres_server

__all__ = ["postgres", "postgres_server"]
