"""The forum as a Django app, for ``dumpdata`` and ``loaddata``."""
