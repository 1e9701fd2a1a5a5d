"""Checksums, and databases compared by them. Tested by ``tests/transfer/proof``."""
