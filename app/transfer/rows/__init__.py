"""Rows outside a database: their encoding, their files. Tested by ``tests/transfer/rows``."""
