"""What a database holds beside rows and objects: counters, contents, numbers, rights; and what a command does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tests.scenarios.objects.conftest import HostApp
from tests.support.servers.mariadb import ON_MYSQL

Look = Callable[[HostApp], Any]
PLAIN = {
    "bill": "CREATE TABLE bill (id INTEGER PRIMARY KEY, label VARCHAR(20))",
    "page": "CREATE TABLE page (id INTEGER PRIMARY KEY, slug VARCHAR(40))",
    "paper": "CREATE TABLE paper (id INTEGER PRIMARY KEY, scan BIGINT)",
    "moment": "CREATE TABLE moment (id INTEGER PRIMARY KEY, at TIMESTAMP NULL)",
    "speech": "CREATE TABLE speech (id INTEGER PRIMARY KEY, words VARCHAR(40))",
}
"""Tables for the rows of every server, with nothing else to them."""
ROWS = (
    "INSERT INTO bill (label) VALUES ('first')",
    "INSERT INTO page VALUES (1, 'about-us')",
    "INSERT INTO moment VALUES (1, '2024-07-01 12:00:00')",
)


@dataclass(frozen=True)
class State:
    """Something that is no row, on one server.

    :ivar look: what it is; None where a server has no such thing, or not any more.
    :ivar named: what is said of it where it does not come along.
    :ivar filled: what the app writes at first.
    :ivar changed: what it does later, so that what is there is not what is to come back.
    :ivar undone: takes that back where no command did.
    :ivar others: looks that it may have instead, with the word for it.
    :ivar of_database: a database that rows come to has its own.
    :ivar tables: those with which another kind of server is refused.
    :ivar freed: without it no portable snapshot can be had.
    :ivar number: what it is known by, where that may change.
    """

    look: Look
    named: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    others: tuple[tuple[str, Any], ...] = ()
    of_database: bool = False
    tables: tuple[str, ...] = ()
    freed: str = ""
    number: Look = type


def ask(sql: str) -> Look:
    """Rows; None where the statement means nothing to the server."""

    def look(host: HostApp) -> Any:
        try:
            return host.query(sql) or None
        except sa.exc.SQLAlchemyError:
            return None

    return look


def draw_number(host: HostApp) -> int:
    """The key that a new row of ``bill`` is given; the row is gone again."""
    host.execute("INSERT INTO bill (label) VALUES ('new')")
    [(number,)] = host.query("SELECT max(id) FROM bill")
    host.execute("DELETE FROM bill WHERE label = 'new'")
    return int(number)


def draw_from(sequence: str) -> Callable[[HostApp], int | None]:
    """A number of a sequence of its own; None where there is none."""
    look = ask(f"SELECT nextval({sequence})")

    def draw(host: HostApp) -> int | None:
        rows = look(host)
        return int(rows[0][0]) if rows else None

    return draw


COUNTERS: dict[str, dict[str, tuple[str, Callable[[HostApp], int | None]]]] = {
    "sqlite": {"key": ("counter bill.id", draw_number)},
    "mariadb": {
        "key": ("counter bill.id", draw_number),
        **({} if ON_MYSQL else {"sequence": ("counter bill_no", draw_from("bill_no"))}),
    },
    "postgresql": {
        "key": ("counter bill_id_seq", draw_number),
        "sequence": ("counter bill_no", draw_from("'bill_no'")),
    },
}
"""By server: how a line of theirs begins, and what gives out one number more."""
SQLITE = {
    "full-text indexes over a table": State(
        # The app forgot to put the one page in: whoever makes the index anew finds it.
        ask("SELECT count(*) FROM found WHERE found MATCH 'about'"),
        ("virtual table found",),
        changed=("INSERT INTO found (found) VALUES ('rebuild')",),
        undone=("INSERT INTO found (found) VALUES ('delete-all')",),
        others=(("rebuilt", [(1,)]),),
    ),
    "virtual tables with rows of their own": State(
        lambda host: (ask("SELECT rowid, subject FROM memo")(host), ask("SELECT * FROM place")(host)),
        filled=("INSERT INTO memo (rowid, subject) VALUES (7, 'kept')", "INSERT INTO place VALUES (3, 0, 1)"),
        changed=("DELETE FROM memo", "UPDATE place SET x1 = 5"),
        tables=("memo", "place"),
    ),
    "numbers of the app in the file's header": State(
        lambda host: [ask(f"PRAGMA {name}")(host) for name in ("user_version", "application_id")],
        ("user_version: ", "application_id: "),
        filled=("PRAGMA user_version = 7", "PRAGMA application_id = 12"),
        changed=("PRAGMA user_version = 8", "PRAGMA application_id = 13"),
        of_database=True,
    ),
}
RIGHTS = (
    "SELECT grantee, privilege_type FROM information_schema.table_privileges"
    " WHERE table_schema = database() AND table_name = 'log'"
)
MARIADB = {
    "instants of MySQL": State(
        lambda host: [str(at)[:19] for (at,) in host.query("SELECT at FROM moment")],
        ("+02:00",),
        changed=("UPDATE moment SET at = '2000-01-01'",),
    ),
    "texts of MySQL read with another `charset`": State(
        ask("SELECT words FROM speech"),
        filled=("INSERT INTO speech VALUES (1, 'caf\u00c3\u00a9')",),
        changed=("UPDATE speech SET words = 'tea'",),
        others=(("as the app read them", [("caf\u00e9",)]),),
    ),
    "owners and privileges": State(
        ask(RIGHTS),
        filled=("GRANT SELECT ON log TO reader@localhost",),
        changed=("GRANT UPDATE ON log TO reader@localhost",),
        # Where there is none, MySQL says so unless it is told not to.
        undone=(f"REVOKE {'IF EXISTS ' * ON_MYSQL}UPDATE ON log FROM reader@localhost",),
        of_database=True,
    ),
}
POSTGRESQL = {
    "large objects": State(
        ask("SELECT lo_get(scan::oid), lomowner::regrole::text FROM paper JOIN pg_largeobject_metadata ON oid = scan"),
        ("Large objects",),
        filled=(
            "INSERT INTO paper VALUES (1, lo_from_bytea(0, 'signed'))",
            "SELECT lo_from_bytea(4000000001, 'nobody names me')",
        ),
        changed=("SELECT lo_put(scan, 0, 'SIGNED') FROM paper",),
        undone=("SELECT lo_put(scan, 0, 'signed') FROM paper",),
        tables=("paper",),
        freed="UPDATE paper SET scan = NULL",
        number=ask("SELECT scan FROM paper"),
    ),
    "owners and privileges": State(
        ask(
            "SELECT pg_get_userbyid(relowner)::text, relacl::text[] FROM pg_class WHERE oid = to_regclass('public.log')"
        ),
        filled=("ALTER TABLE log OWNER TO pg_monitor", "GRANT SELECT ON log TO pg_read_all_stats"),
        changed=("GRANT UPDATE ON log TO pg_read_all_stats",),
        undone=("REVOKE UPDATE ON log FROM pg_read_all_stats",),
        of_database=True,
    ),
}
STATES: dict[str, dict[str, State]] = {"sqlite": SQLITE, "mariadb": MARIADB, "postgresql": POSTGRESQL}
TABLES = {
    "sqlite": (
        "CREATE TABLE bill (id INTEGER PRIMARY KEY AUTOINCREMENT, label VARCHAR(20))",
        "CREATE TABLE page (id INTEGER PRIMARY KEY, slug VARCHAR(40) COLLATE folded,"
        " CONSTRAINT ck CHECK (slug REGEXP '^[a-z-]+$'))",
        "CREATE INDEX by_loud ON page (loud(slug))",
        "CREATE VIRTUAL TABLE found USING fts5(slug, content='page', content_rowid='id')",
        "CREATE VIRTUAL TABLE memo USING fts5(subject)",
        "CREATE VIRTUAL TABLE place USING rtree(id, x0, x1)",
    ),
    "mariadb": (
        "CREATE TABLE bill (id INTEGER AUTO_INCREMENT PRIMARY KEY, label VARCHAR(20))",
        *([] if ON_MYSQL else ["CREATE SEQUENCE bill_no START WITH 1000 NOCACHE"]),
    ),
    "postgresql": (
        "CREATE TABLE bill (id INTEGER GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, label VARCHAR(20))",
        "CREATE SEQUENCE bill_no START 1000",
        "CREATE TABLE paper (id INTEGER PRIMARY KEY, scan OID)",
    ),
}
TOUCHED = {
    "sqlite": (
        "with op.batch_alter_table('bill', table_kwargs={'sqlite_autoincrement': True}) as batch:\n"
        "    batch.alter_column('label', type_=sa.String(30), existing_type=sa.String(20))\n"
        "op.execute('ALTER TABLE page ADD COLUMN extra INTEGER')"
    ),
    "mariadb": "\n".join(
        f"op.add_column({table!r}, sa.Column('extra', sa.Integer))" for table in ("bill", "moment", "speech", "log")
    ),
    "postgresql": "\n".join(
        f"op.add_column({table!r}, sa.Column('extra', sa.Integer))" for table in ("bill", "paper", "log")
    ),
}
"""A revision that changes each table that something hangs on."""


def all_tables(server: str) -> tuple[str, ...]:
    """What a revision executes that makes a table for every row, with all that this server has of states."""
    own = TABLES[server]
    return (*own, *(sql for name, sql in PLAIN.items() if not any(f"TABLE {name} " in other for other in own)))


def outfit(connection: Any, _record: Any = None) -> None:
    """What the app's connections have on SQLite."""
    connection.create_function("loud", 1, str.upper, deterministic=True)
    connection.create_collation("folded", lambda one, two: (one.lower() > two.lower()) - (one.lower() < two.lower()))
