"""The mark of the generation that is live, which every token is bound to."""

from __future__ import annotations

import sqlalchemy as sa

from app.commands.generation import generation_mark


def test_a_database_that_no_run_can_have_made_has_no_mark() -> None:
    with sa.create_engine("sqlite://").connect() as connection:
        assert generation_mark(connection) == ""
