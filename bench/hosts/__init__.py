"""Several hosts on one machine: network namespaces that share a Redis and a PostgreSQL."""
