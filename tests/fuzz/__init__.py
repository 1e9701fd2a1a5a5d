"""Bytes of somebody else's, given to each reader of ours: it gives a value, or one of our errors that names the place.

:mod:`.targets` lists the readers; ``make fuzz`` runs each for some minutes, ``make test`` for some hundred examples.
"""
