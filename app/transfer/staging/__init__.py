"""The new database, built and loaded beside the live one. Tested by ``tests/transfer/staging``."""
