"""Where rows come from: one file per kind of source. Tested by ``tests/transfer/sources``."""
