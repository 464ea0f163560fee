"""PostgreSQL for these tests."""

from tests.fakes.postgres import empty_postgres, postgres, postgres_server

__all__ = ["empty_postgres", "postgres", "postgres_server"]
