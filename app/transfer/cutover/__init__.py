"""How staging becomes the live database, and what is pruned then. Tested by ``tests/transfer/cutover``."""
