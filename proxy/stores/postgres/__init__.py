"""PostgreSQL: a private one of our own, migrations, and usage. The one home of asyncpg."""
