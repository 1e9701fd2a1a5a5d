"""Chaos by step, not by clock: every command, on each server, meets every fault at every step of its work.

``python -m tests.chaos`` (``make chaos``) carries it out and writes the table of what was hit and what became of it.
:mod:`.points` says what a step is, :mod:`.faults` what befalls a command there, :mod:`.judge` what must be so then.
"""
