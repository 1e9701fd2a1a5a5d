"""Backups: their files, manifests and seals, here and in a storage. Tested by ``tests/transfer/backup``."""
