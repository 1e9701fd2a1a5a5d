"""The mark of the generation that is live, which every token is bound to."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.commands.generation import generation_mark
from tests.support.pages import take


def test_a_database_that_no_run_can_have_made_has_no_mark() -> None:
    with sa.create_engine("sqlite://").connect() as connection:
        assert generation_mark(connection) == ""


@pytest.mark.executes("docs/hosts.md", "generation_mark(")
def test_the_example_of_the_page() -> None:
    class Host:
        session = Session(sa.create_engine("sqlite://"))

    names: dict[str, object] = {"db": Host}
    with Host.session:
        exec(take("docs/hosts.md", "generation_mark(")[0].replace("flask_ferry.", "app."), names)
    assert names["mark"] == ""
