"""What is not a row and only a source has: named, never carried in silence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.objects.conftest import HostApp
from tests.scenarios.objects.test_upgrade import sql

Make = Callable[..., HostApp]
TABLES = (
    "CREATE TABLE artist (id INTEGER PRIMARY KEY, name VARCHAR(40))",
    "CREATE TABLE album (id INTEGER PRIMARY KEY, artist_id INTEGER REFERENCES artist (id), title VARCHAR(80))",
)
EXTRA = (
    "CREATE VIEW titles AS SELECT title FROM album",
    "CREATE VIEW artists_by_name AS SELECT name FROM artist ORDER BY name",
    "CREATE INDEX by_title ON album (title)",
    "CREATE UNIQUE INDEX one_name ON artist (name)",
)


@pytest.mark.parametrize(("old", "new"), [("sqlite", "sqlite"), ("sqlite", "postgresql"), ("mariadb", "sqlite")])
def test_each_object_that_no_revision_makes_is_named(make_host: Make, old: str, new: str) -> None:
    source, host = make_host(old, "old"), make_host(new, "new")
    for app in (source, host):
        app.release(sql(*TABLES))
    source.upgrade()
    source.execute(*EXTRA, "INSERT INTO artist VALUES (1, 'Ann')", "INSERT INTO album VALUES (1, 1, 'First')")
    host.config["FERRY_SOURCE"] = source.url
    ended = host.run("db-migrate-data", "--yes")
    assert ended.status == 0, ended.stderr
    named = ended.stdout[ended.stdout.index("Not migrated") :]
    for text in ("view titles", "view artists_by_name", "unique one_name on artist", "index by_title on album"):
        assert text in named
    assert host.query("SELECT count(*) FROM album") == [(1,)]


def test_what_belongs_to_a_view_is_named_as_well(make_host: Make) -> None:
    source, host = make_host("sqlite", "old"), make_host("sqlite", "new")
    for app in (source, host):
        app.release(sql(*TABLES))
    source.upgrade()
    source.execute(
        "CREATE VIEW titles AS SELECT id, title FROM album",
        "CREATE TRIGGER renamed INSTEAD OF UPDATE ON titles BEGIN UPDATE album SET title = new.title; END",
        "INSERT INTO artist VALUES (1, 'Ann')",
    )
    host.config["FERRY_SOURCE"] = source.url
    ended = host.run("db-migrate-data", "--yes")
    assert ended.status == 0, ended.stderr
    named = ended.stdout.partition("Not migrated")[2]
    assert "view titles" in named
    assert "trigger renamed on titles" in named


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_what_its_revision_makes_is_not_named(make_host: Make, server: str) -> None:
    source, host = make_host(server, "old"), make_host(server, "new")
    for app in (source, host):
        app.release(sql(*TABLES, *EXTRA))
    source.upgrade()
    source.execute("INSERT INTO artist VALUES (1, 'Ann')")
    host.config["FERRY_SOURCE"] = source.url
    ended = host.run("db-migrate-data", "--yes")
    assert ended.status == 0, ended.stderr
    assert "Not migrated" not in ended.stdout


@pytest.mark.parametrize(("old", "new"), [("sqlite", "mariadb"), ("mariadb", "postgresql"), ("postgresql", "sqlite")])
def test_what_its_revision_makes_on_another_server_is_not_named(make_host: Make, old: str, new: str) -> None:
    source, host = make_host(old, "old"), make_host(new, "new")
    for app in (source, host):
        app.release(
            "op.create_table('town', sa.Column('id', sa.Integer, primary_key=True))\n"
            "op.create_table('person', sa.Column('id', sa.Integer, primary_key=True),"
            " sa.Column('name', sa.String(40), unique=True, comment='as written'),"
            " sa.Column('town_id', sa.Integer, sa.ForeignKey('town.id')), sa.Column('is_on', sa.Boolean),"
            " sa.Column('n', sa.Integer, index=True), sa.CheckConstraint('n > 0', name='positive'))\n"
            "op.execute('CREATE VIEW names AS SELECT name FROM person')"
        )
    source.upgrade()
    source.execute("INSERT INTO town VALUES (1)", "INSERT INTO person (id, name, town_id, n) VALUES (1, 'Ann', 1, 1)")
    host.config["FERRY_SOURCE"] = source.url
    ended = host.run("db-migrate-data", "--yes")
    assert ended.status == 0, ended.stderr
    # SQLite has no comments.
    named = ended.stdout.partition("Not migrated")[2].partition("Notes:")[0]
    assert [line.strip() for line in named.splitlines()[1:]] == ["comment name on person"] * (new == "sqlite")


def test_what_partitions_have_of_their_own_is_named(make_host: Make) -> None:
    source, host = make_host("postgresql", "old"), make_host("postgresql", "new")
    tables = (
        "CREATE TABLE payer (id INTEGER PRIMARY KEY)",
        "CREATE TABLE pay (id INTEGER, payer_id INTEGER, paid_on DATE) PARTITION BY RANGE (paid_on)",
        "CREATE TABLE pay_24 PARTITION OF pay FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "CREATE TABLE pay_25 PARTITION OF pay FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    )
    for app in (source, host):
        app.release(sql(*tables, "CREATE INDEX by_day ON pay (paid_on)"))
    source.upgrade()
    source.execute(
        "CREATE INDEX by_payer_24 ON pay_24 (payer_id)",
        "ALTER TABLE pay_25 ADD CONSTRAINT positive CHECK (payer_id > 0)",
        "ALTER TABLE pay_25 ADD CONSTRAINT of_payer FOREIGN KEY (payer_id) REFERENCES payer",
        "INSERT INTO payer VALUES (1)",
        "INSERT INTO pay VALUES (1, 1, '2024-05-06'), (2, 1, '2025-05-06')",
    )
    host.config["FERRY_SOURCE"] = source.url
    ended = host.run("db-migrate-data", "--yes")
    assert ended.status == 0, ended.stderr
    named = ended.stdout.partition("Not migrated")[2]
    for text in ("index by_payer_24 on pay", "check positive on pay", "foreign key of_payer on pay"):
        assert text in named
    assert "by_day" not in named
    assert "paid_on_idx" not in named


def test_dates_with_a_fraction_of_noughts_go_to_another_server(make_host: Make) -> None:
    source, host = make_host("sqlite", "old"), make_host("postgresql", "new")
    for app in (source, host):
        app.release(
            "op.create_table('sale', sa.Column('id', sa.Integer, primary_key=True), sa.Column('on', sa.DateTime))"
        )
    source.upgrade()
    source.execute("INSERT INTO sale VALUES (1, '1998-05-06 00:00:00.000')")
    host.config["FERRY_SOURCE"] = source.url
    ended = host.run("db-migrate-data", "--yes")
    assert ended.status == 0, ended.stderr
    assert [str(value) for _, value in host.query("SELECT * FROM sale")] == ["1998-05-06 00:00:00"]


def test_what_lies_around_a_schema_is_named_where_the_new_database_has_no_such_thing(make_host: Make) -> None:
    source, host = make_host("postgresql", "old"), make_host("postgresql", "new")
    table = "CREATE TABLE artist (id INTEGER PRIMARY KEY)"
    source.release(sql("CREATE EXTENSION lo", "CREATE EXTENSION citext", table))
    host.release(sql("CREATE EXTENSION lo", table))
    source.upgrade()
    source.execute(
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.till (id INTEGER)",
        "CREATE PUBLICATION everybody FOR TABLE artist",
        "CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION noted()",
    )
    host.config["FERRY_SOURCE"] = source.url
    ended = host.run("db-migrate-data", "--yes", "--verbose")
    assert ended.status == 0, ended.stderr
    for text in ("extension citext", "schema shop", "publication everybody", "event trigger seen"):
        assert text in ended.stdout
    assert "extension lo" not in ended.stdout
