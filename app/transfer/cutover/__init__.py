"""Backups, and how staging becomes the live database. Tested by ``tests/transfer/cutover``."""
