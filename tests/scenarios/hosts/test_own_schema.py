"""The schema that an app's own tables lie in, spelled by models and revisions on PostgreSQL; any other is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from tests.support.places import connected, execute, new_name
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL

from .foreign import Foreign

CREATE = """
kind = sa.Enum('a', 'b', name='kind', schema='{schema}')
op.create_table('thing', sa.Column('id', sa.Integer, primary_key=True), sa.Column('kind', kind), schema='{schema}')
"""
MORE = """
op.create_table('part', sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('thing', sa.Integer, sa.ForeignKey('{schema}.thing.id')), schema='{schema}')
op.create_index('by_thing', 'part', ['thing'], schema='{schema}')
op.execute("INSERT INTO {schema}.part SELECT id, id FROM {schema}.thing")
"""


def spell(host: Foreign, schema: str) -> Foreign:
    """Let everything of the host name a schema."""

    def models(db: SQLAlchemy) -> None:
        number = {"primary_key": True}
        kind = sa.Enum("a", "b", name="kind", schema=schema)
        sa.Table("thing", db.metadata, sa.Column("id", sa.Integer, **number), sa.Column("kind", kind), schema=schema)
        referring = sa.Column("thing", sa.Integer, sa.ForeignKey(f"{schema}.thing.id"))
        part = sa.Table("part", db.metadata, sa.Column("id", sa.Integer, **number), referring, schema=schema)
        sa.Index("by_thing", part.c.thing)

    host.models = models
    host.add("one", None, CREATE.format(schema=schema))
    host.add("two", "one", MORE.format(schema=schema))
    host.alembic["version_table_schema"] = schema
    return host


@pytest.mark.parametrize("schema", ["public", "shop"])
def test_it_is_carried(tmp_path: Path, postgresql: PostgreSQL, schema: str) -> None:
    name = new_name()
    postgresql.execute(f"CREATE DATABASE {name}")
    url = postgresql.url(name)
    if schema != "public":
        postgresql.execute(f"CREATE SCHEMA {schema}", database=name)
        url = url.update_query_dict({"options": f"-csearch_path={schema}"})
    host = spell(Foreign(tmp_path, {"SQLALCHEMY_DATABASE_URI": url}), schema)
    host.ok("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(url, "INSERT INTO thing VALUES (1, 'b')")
    host.add("three", "two", f"op.add_column('thing', sa.Column('name', sa.Text), schema='{schema}')")
    host.ok("db-migrate-data", "self", "--yes")
    with connected(url) as connection:
        assert list(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {schema}.thing"))) == [(1, "b", None)]
        version = connection.exec_driver_sql(f"SELECT version_num FROM {schema}.alembic_version").scalar()
        names = connection.exec_driver_sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%%staging%%'").all()
        assert (version, names) == ("three", [])
    host.ok("db-rollback", "--yes")
    host.ok("db-init", "--yes", "--schema", "models")
    host.ok("db-restore", "--yes")


def test_any_other_is_not(tmp_path: Path, mariadb: MariaDB, postgresql: PostgreSQL) -> None:
    """Nor on a server where the name would be the live database's while staging is built, nor beside a URL's own."""
    name = new_name()
    mariadb.execute(f"CREATE DATABASE {name}")
    for url, schema in ((mariadb.url(name), name), (f"sqlite:///{tmp_path / 'live.db'}", "main")):
        directory = tmp_path / schema
        directory.mkdir()
        refused = spell(Foreign(directory, {"SQLALCHEMY_DATABASE_URI": url}), schema).run("db-init")
        assert (refused.status, "Models name a schema" in refused.stderr) == (20, True), refused.stderr
        assert "that is another database, which no staging stands in for" in refused.stderr
    url = postgresql.url("postgres").update_query_dict({"options": "-csearch_path=public"})
    (tmp_path / "audit").mkdir()
    refused = spell(Foreign(tmp_path / "audit", {"SQLALCHEMY_DATABASE_URI": url}), "audit").run("db-init")
    assert (refused.status, "Leave search_path out of the database's URL" in refused.stderr) == (20, True)
