"""Rows that a run set aside: their file, and what loading it would add. Tested by ``tests/scenarios/sources``."""
