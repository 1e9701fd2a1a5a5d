"""SQLite. Tested by ``tests/dialects/sqlite``."""
