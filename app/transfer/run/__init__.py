"""One run: its settings, its plan, its lock and journal, its report. Tested by ``tests/transfer/run``."""
