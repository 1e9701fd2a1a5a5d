"""A comparison with the models: what Alembic asks for it is foreseen, to the letter."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from app.dialects.ahead import asked_ahead
from app.transfer.schema.alembic import Schema
from app.transfer.schema.comparison import compare, foresee
from app.transfer.schema.host_engine import use_engine
from tests.dialects.rooms import ROOMS
from tests.transfer.hosts import history, made_host, revision

CREATE = (
    "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True), "
    "sa.Column('x', sa.String(20), nullable=False)); "
    "op.create_table('u', sa.Column('id', sa.Integer, primary_key=True), sa.Column('t', sa.Integer), "
    "sa.ForeignKeyConstraint(['t'], ['t.id'], name='to_t'), sa.UniqueConstraint('t', name='one_each'));"
    "op.create_index('by_x', 't', ['x'])"
)


MORE = "[op.create_table(f'm{i}', sa.Column('id', sa.BigInteger)) for i in range(101)]"


CASES = {kind: (kind, "", "pass") for kind in sorted(ROOMS)}
# Alembic does not name so many.
CASES["many tables"] = ("postgresql", "", MORE)
if importlib.util.find_spec("psycopg2"):
    CASES["psycopg2"] = ("postgresql", "psycopg2", "pass")


@pytest.mark.parametrize(("kind", "driver", "more"), list(CASES.values()), ids=list(CASES))
def test_all_that_a_comparison_asks_is_foreseen(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, driver: str, more: str
) -> None:
    """Where a server is asked ahead, nothing is left to be asked one by one; what is found is the same."""
    with ROOMS[kind](request, tmp_path) as room:
        url = room.target.set(drivername=f"{kind}+{driver}") if driver else room.target
        room.dialect.create(room.target)
        revision(history(tmp_path / "migrations"), "one", None, f"{CREATE};{more}")
        host, db = made_host(tmp_path, url.render_as_string(hide_password=False))
        sa.Table("t", db.metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("y", sa.Integer))
        with host.app_context():
            schema = Schema(host)
            command.upgrade(schema._config(), "one")
            db.engine.dispose()
            with use_engine(host, host.dialect.read_only_engine(host.url)):
                plainly = compare(host, schema._config())
            reached: list[str] = []

            def count(_cursor: Any, statement: str, *_: Any) -> None:
                reached.append(statement)

            foreseen = foresee(host.version_table, None, with_models=True)
            with use_engine(host, host.dialect.read_only_engine(host.url)) as engine, asked_ahead(engine, foreseen):
                sa.event.listen(engine, "do_execute", count)
                differences = compare(host, schema._config())
            assert repr(differences) == repr(plainly)
            assert len(differences) >= 4
            assert (reached == []) is not room.dialect.identity(room.target).is_file
