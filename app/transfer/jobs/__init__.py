"""The jobs, one file per command, and their runner. Tested by ``tests/scenarios``."""
