"""PostgreSQL for these tests."""

from tests.fakes.postgres import data_dir, empty_postgres, postgres, postgres_server, template

__all__ = ["data_dir", "empty_postgres", "postgres", "postgres_server", "template"]
