"""The jobs, one file per command, and their runner. Tested by ``tests/transfer/jobs`` and ``tests/scenarios``."""
