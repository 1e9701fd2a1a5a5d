"""What PostgreSQL has since version 18: each lives through every command that replaces a database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.objects.conftest import HostApp
from tests.scenarios.objects.every_command import LATER, Kind, assert_same, fill, live_through, migrate_from, must
from tests.scenarios.objects.test_upgrade import sql
from tests.support.servers import of_server
from tests.support.servers.postgresql import PostgreSQL

Make = Callable[..., HostApp]

pytestmark = [
    of_server("postgresql", since=18),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sqlalchemy.exc.SAWarning"),
]


CONSTRAINTS = (
    "SELECT conname::text, contype::text, convalidated, connoinherit, conperiod, conenforced, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE conrelid = to_regclass('public.{0}') ORDER BY 1"
)
GENERATED = (
    "SELECT a.attname::text, a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a"
    " JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " WHERE a.attrelid = to_regclass('public.{0}') ORDER BY 1"
)
PERIODS = (
    "CREATE TABLE shop (id INT, open DATERANGE, name TEXT, PRIMARY KEY (id, open WITHOUT OVERLAPS))",
    "CREATE TABLE stay (id INT, shop_id INT, at DATERANGE, PRIMARY KEY (id, at WITHOUT OVERLAPS),"
    " CONSTRAINT lives FOREIGN KEY (shop_id, PERIOD at) REFERENCES shop (id, PERIOD open))",
)
OPENED = (
    "INSERT INTO shop VALUES (1, '[2020-01-01,2021-01-01)', 'a'), (1, '[2021-01-01,2023-01-01)', 'b'),"
    " (2, '[2020-01-01,)', 'c')",
    # Several rows of the other table cover it together.
    "INSERT INTO stay VALUES (1, 1, '[2020-06-01,2022-01-01)'), (2, 2, '[2024-01-01,2025-01-01)'),"
    " (3, NULL, '[2024-01-01,2025-01-01)')",
)
KINDS = {
    "virtual generated columns": Kind(
        (
            "CREATE TABLE item (id INT PRIMARY KEY, price NUMERIC(9, 2), doc JSONB,"
            " twice NUMERIC GENERATED ALWAYS AS (price * 2), stored INT GENERATED ALWAYS AS (id + 1) STORED,"
            " tag TEXT GENERATED ALWAYS AS (doc ->> 'tag') VIRTUAL)",
        ),
        ("""INSERT INTO item (id, price, doc) VALUES (1, 1.50, '{"tag": "a"}'), (2, NULL, NULL)""",),
        (
            "ALTER TABLE item ADD COLUMN extra INT",
            "ALTER TABLE item ADD COLUMN late INT GENERATED ALWAYS AS (id * 3) VIRTUAL",
        ),
        ("ALTER TABLE item DROP COLUMN tag", "UPDATE item SET price = 7"),
        ("SELECT id, price, doc, twice, tag, stored FROM item ORDER BY 1", GENERATED.format("item")),
    ),
    "NOT NULL as constraints": Kind(
        (
            "CREATE TABLE item (id INT PRIMARY KEY, a TEXT CONSTRAINT has_an_a NOT NULL, b INT,"
            " CONSTRAINT has_a_b NOT NULL b NO INHERIT)",
        ),
        ("INSERT INTO item VALUES (1, 'x', 1)",),
        ("ALTER TABLE item ADD COLUMN extra INT",),
        ("ALTER TABLE item ALTER COLUMN a DROP NOT NULL", "DELETE FROM item"),
        ("SELECT id, a, b FROM item", CONSTRAINTS.format("item")),
    ),
    "NOT NULL that was never proved": Kind(
        ("CREATE TABLE item (id INT PRIMARY KEY, a TEXT)",),
        ("INSERT INTO item VALUES (1, 'x'), (2, 'y')", "ALTER TABLE item ADD CONSTRAINT has_an_a NOT NULL a NOT VALID"),
        ("ALTER TABLE item ADD COLUMN extra INT",),
        ("ALTER TABLE item DROP CONSTRAINT has_an_a", "DELETE FROM item"),
        ("SELECT id, a FROM item ORDER BY 1", CONSTRAINTS.format("item")),
    ),
    "constraints that are not enforced": Kind(
        (
            "CREATE TABLE town (id INT PRIMARY KEY)",
            "CREATE TABLE item (id INT PRIMARY KEY, n INT CONSTRAINT positive CHECK (n > 0) NOT ENFORCED,"
            " town_id INT CONSTRAINT lives REFERENCES town (id) NOT ENFORCED)",
        ),
        ("INSERT INTO item VALUES (1, -1, 77)",),
        ("ALTER TABLE item ADD COLUMN extra INT", "ALTER TABLE town ADD COLUMN extra INT"),
        ("DELETE FROM item", "ALTER TABLE item DROP CONSTRAINT lives"),
        ("SELECT id, n, town_id FROM item", CONSTRAINTS.format("item")),
    ),
    "uuidv7()": Kind(
        ("CREATE TABLE item (id UUID PRIMARY KEY DEFAULT uuidv7(), n INT)",),
        ("INSERT INTO item (n) VALUES (1), (2), (3)",),
        ("ALTER TABLE item ADD COLUMN extra UUID DEFAULT uuidv7(interval '-1 hour')",),
        ("DELETE FROM item", "ALTER TABLE item ALTER COLUMN id DROP DEFAULT"),
        (
            "SELECT id::text, n, uuid_extract_version(id) FROM item ORDER BY 1",
            "SELECT column_default FROM information_schema.columns WHERE table_name = 'item' AND column_name = 'id'"
            " AND table_schema = 'public'",
        ),
    ),
    "temporal keys": Kind(
        PERIODS,
        OPENED,
        ("ALTER TABLE shop ADD COLUMN extra INT", "ALTER TABLE stay ADD COLUMN extra INT"),
        ("ALTER TABLE stay DROP CONSTRAINT lives", "DELETE FROM shop"),
        (
            "SELECT id, open::text, name FROM shop ORDER BY 1, 2",
            "SELECT id, shop_id, at::text FROM stay ORDER BY 1",
            CONSTRAINTS.format("shop"),
            CONSTRAINTS.format("stay"),
        ),
        before=("CREATE SCHEMA extensions", "CREATE EXTENSION btree_gist SCHEMA extensions"),
    ),
}


def new_host(make_host: Make, postgresql: PostgreSQL, name: str, before: tuple[str, ...] = ()) -> HostApp:
    host = make_host("postgresql", name)
    database = host.url.rpartition("/")[2]
    for statement in before:
        postgresql.execute(statement, database=database)
    if before:
        postgresql.execute(f'ALTER DATABASE "{database}" SET search_path = public, extensions')
    return host


@pytest.mark.parametrize("name", KINDS)
def test_it_lives_through_every_command(make_host: Make, postgresql: PostgreSQL, name: str) -> None:
    kind = KINDS[name]
    host = new_host(make_host, postgresql, "host", kind.before)
    fill(kind, host)
    live_through(host, kind)


@pytest.mark.parametrize("name", KINDS)
def test_it_comes_from_the_same_kind_of_server(make_host: Make, postgresql: PostgreSQL, name: str) -> None:
    kind = KINDS[name]
    host, other = (new_host(make_host, postgresql, one, kind.before) for one in ("host", "other"))
    fill(kind, host, other)
    output = migrate_from(other, host)
    assert_same(host, other, [query for query in kind.shown if " FROM pg_" not in query])
    # Only an administrator made this one.
    assert ("not null a on item" in output.partition("Not migrated")[2]) == (name == "NOT NULL that was never proved")
    must(other, "db-verify")


UNPROVED = "ALTER TABLE item ADD CONSTRAINT has_an_a NOT NULL a NOT VALID"


def test_rows_that_a_rule_which_was_never_proved_forbids(make_host: Make) -> None:
    """A backup and a restore keep them, as the app lives with them; at head every rule holds."""
    host = make_host("postgresql")
    host.release(sql("CREATE TABLE item (id INT PRIMARY KEY, a TEXT, n INT)"))
    host.upgrade()
    check = "ALTER TABLE item ADD CONSTRAINT positive CHECK (n > 0) NOT VALID"
    host.execute("INSERT INTO item VALUES (1, 'x', 1), (2, NULL, -1), (3, NULL, 1)", UNPROVED, check)
    rows, rules = "SELECT id, a, n FROM item ORDER BY 1", CONSTRAINTS.format("item")
    before = host.query(rows), host.query(rules)
    must(host, "db-backup")
    host.execute("DELETE FROM item WHERE id = 3")
    must(host, "db-restore", "--yes")
    assert (host.query(rows), host.query(rules)) == before
    host.release(LATER)
    refused = host.run("db-migrate-data", "self", "--yes")
    assert refused.status == 23, refused.stderr
    assert "item: 2 rows do not pass NOT NULL of a (has_an_a, which is NOT VALID): id 2, 3" in refused.stderr
    assert "item: 1 row does not pass the check positive" in refused.stderr
    assert (host.query(rows), host.query(rules)) == before
    host.execute("UPDATE item SET a = '', n = 1 WHERE id > 1")
    must(host, "db-migrate-data", "self", "--yes")
    assert host.query(rules) == before[1]


def test_a_source_with_such_rows(make_host: Make) -> None:
    host, other = make_host("postgresql", "host"), make_host("postgresql", "other")
    for app in (host, other):
        app.release(sql("CREATE TABLE item (id INT PRIMARY KEY, a TEXT)"))
    host.upgrade()
    host.execute("INSERT INTO item VALUES (1, 'x'), (2, NULL)", UNPROVED)
    other.config["FERRY_SOURCE"] = host.url
    must(other, "db-migrate-data", "--yes")
    assert other.query("SELECT id, a FROM item ORDER BY 1") == [(1, "x"), (2, None)]


def test_a_revision_that_makes_such_a_rule_is_proved(make_host: Make) -> None:
    """At head every rule holds: a NOT NULL as any CHECK."""
    host = make_host("postgresql")
    host.release(sql("CREATE TABLE item (id INT PRIMARY KEY, a TEXT)"))
    host.upgrade()
    host.execute("INSERT INTO item VALUES (1, 'x'), (2, NULL)")
    host.release(sql(UNPROVED))
    refused = host.run("db-migrate-data", "self", "--yes")
    assert refused.status == 23, refused.stderr
    assert "item: 1 row does not pass NOT NULL of a (has_an_a, which is NOT VALID): id 2" in refused.stderr
    host.execute("UPDATE item SET a = '' WHERE a IS NULL")
    must(host, "db-migrate-data", "self", "--yes")


def test_periods_that_nothing_covers_are_named(make_host: Make, postgresql: PostgreSQL) -> None:
    kind = KINDS["temporal keys"]
    host = new_host(make_host, postgresql, "host", kind.before)
    host.release(sql(*PERIODS))
    host.upgrade()
    host.execute(*OPENED)
    host.release(sql("UPDATE shop SET open = '[2021-06-01,2023-01-01)' WHERE name = 'b'"))
    refused = host.run("db-migrate-data", "self", "--yes")
    assert refused.status == 22, refused.stderr
    assert "stay" in refused.stderr


def test_a_page_that_is_damaged_is_never_copied(make_host: Make, tmp_path: Path) -> None:
    """Checksums of pages are on by default: the server refuses what it reads there."""
    server = PostgreSQL("autovacuum=off", "full_page_writes=on")
    server.prepare()
    server.start()
    try:
        assert server.execute("SHOW data_checksums") == [("on",)]
        server.execute("CREATE DATABASE shop")
        (tmp_path / "shop").mkdir()
        host = HostApp(tmp_path / "shop", server.url("shop").render_as_string(hide_password=False))
        host.release(sql("CREATE TABLE item (id INT PRIMARY KEY, words TEXT)"))
        host.upgrade()
        host.execute("INSERT INTO item SELECT n, repeat('x', 50) FROM generate_series(1, 1000) n", "CHECKPOINT")
        [(file,)] = host.query("SELECT pg_relation_filepath('item')")
        host.release(LATER)
        server.kill()
        damage(server.data / file)
        server.start()
        # A run reads the live database before it is backed up.
        for command, status in ((("db-backup",), 21), (("db-migrate-data", "self", "--yes"), 1)):
            refused = host.run(*command)
            assert refused.status == status, refused.stderr
            for words in ("files are damaged", "invalid page in block 3 of relation", "flask db-restore"):
                assert words in refused.stderr
            assert "Traceback" not in refused.stderr
        assert host.query("SELECT count(*) FROM pg_tables WHERE tablename = 'later'") == [(0,)]
        (tmp_path / "file").mkdir()
        other = HostApp(tmp_path / "file", f"sqlite:///{tmp_path / 'file' / 'live.db'}")
        other.release(
            "op.create_table('item', sa.Column('id', sa.Integer, primary_key=True), sa.Column('words', sa.Text))"
        )
        other.config["FERRY_SOURCE"] = host.url
        host.execute("UPDATE alembic_version SET version_num = 'r1'")
        refused = other.run("db-migrate-data", "--yes")
        assert refused.status == 3, refused.stderr
        assert "invalid page in block 3 of relation" in refused.stderr
    finally:
        server.stop()


def damage(file: Path) -> None:
    """Turn a bit of the fourth page, as a disk does."""
    data = bytearray(file.read_bytes())
    data[3 * 8192 + 4000] ^= 1
    file.write_bytes(data)
