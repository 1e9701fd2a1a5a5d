"""What env.py does to logging is undone."""

from __future__ import annotations

import logging

import pytest

from app.transfer.schema.alembic import Schema
from tests.transfer.schema.made import Made


@pytest.mark.parametrize("verbose", [False, True])
def test_logging_is_as_it_was(two: Made, verbose: bool) -> None:
    """Flask-Migrate's own alembic.ini disables every logger there is and gives the root another handler."""
    mine, root = logging.getLogger(f"made.by.the.host.{verbose}"), logging.getLogger()
    mine.setLevel(logging.DEBUG)
    handler = logging.NullHandler()
    mine.addHandler(handler)
    alembic = logging.getLogger("alembic")
    kept = (root.level, root.handlers[:], alembic.level, alembic.handlers[:])
    Schema(two.host, verbose=verbose).build(two.staging(), "two")
    assert (mine.level, mine.handlers, mine.disabled, mine.propagate) == (logging.DEBUG, [handler], False, True)
    assert (root.level, root.handlers, alembic.level, alembic.handlers) == kept
    assert root.manager.disable == logging.NOTSET
    assert mine.isEnabledFor(logging.DEBUG)
