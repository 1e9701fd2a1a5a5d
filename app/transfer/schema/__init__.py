"""The host app's schema, by Alembic. Tested by ``tests/transfer/schema``."""
