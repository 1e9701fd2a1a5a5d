"""PostgreSQL. Tested by ``tests/dialects/postgresql``."""
