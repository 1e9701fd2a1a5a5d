"""The cells of "What is not a row" in docs/guarantees.md are what runs show, for what a database can hold one of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.scenarios.objects.conftest import HostApp
from tests.scenarios.objects.test_upgrade import sql
from tests.support.site import ROOT

Make = Callable[..., HostApp]
COLUMNS = (
    "`self`",
    "from a source, same kind of server",
    "from another kind of server",
    "backup and restore",
    "portable",
    "rollback",
)
OTHER = {"sqlite": "postgresql", "mariadb": "sqlite", "postgresql": "mariadb"}
OF_ANOTHER_ROW = "as counters"
TOWN, LOG = "CREATE TABLE town (id INTEGER PRIMARY KEY)", "CREATE TABLE log (n INTEGER)"
LACKING = (
    TOWN,
    LOG,
    "CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40), code VARCHAR(40), n INTEGER, town_id INTEGER)",
)
VIEW, INDEX = "CREATE VIEW grown AS SELECT id FROM person WHERE n > 17", "CREATE INDEX by_n ON person (n)"
PARTIAL = ("CREATE INDEX some_n ON person (n) WHERE n > 17", "CREATE INDEX by_lower ON person (lower(name))")


@dataclass(frozen=True)
class Server:
    """One object of each kind in the words of a server.

    :ivar statements: what makes all of them.
    :ivar kinds: by the kind's name on the page: how its lines in a receipt begin, and a query for what the objects are.
    """

    statements: tuple[str, ...]
    kinds: dict[str, tuple[tuple[str, ...], str]]


def in_sqlite(*names: str) -> str:
    return f"SELECT name, sql FROM sqlite_master WHERE name IN {(*names, '')} ORDER BY 1"


PERSON = in_sqlite("person")
SQLITE = Server(
    (
        TOWN,
        LOG,
        "CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40) COLLATE NOCASE,"
        " code VARCHAR(40) UNIQUE, n INTEGER CHECK (n > 0), town_id INTEGER REFERENCES town (id))",
        VIEW,
        INDEX,
        *PARTIAL,
        "CREATE TRIGGER noted AFTER DELETE ON person BEGIN INSERT INTO log VALUES (old.n); END",
    ),
    {
        "views": (("view grown",), in_sqlite("grown")),
        "triggers": (("trigger noted",), in_sqlite("noted")),
        "indexes": (("index by_n", "index some_n", "index by_lower"), in_sqlite("by_n", "some_n", "by_lower")),
        "UNIQUE": (("unique ",), PERSON),
        "CHECK": (("check ",), PERSON),
        "foreign keys": (("foreign key ",), PERSON),
        "collations of columns": (("collation name",), PERSON),
        "AUTOINCREMENT": (("autoincrement id",), PERSON),
    },
)
OF_PERSON = "SELECT {} FROM information_schema.{} WHERE table_schema = database() AND table_name = 'person' ORDER BY 1"
MARIADB = Server(
    (
        TOWN,
        LOG,
        "CREATE TABLE person (id INTEGER AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) COLLATE utf8mb4_swedish_ci"
        " COMMENT 'as written', code VARCHAR(40) UNIQUE, n INTEGER CHECK (n > 0), town_id INTEGER,"
        " CONSTRAINT lives FOREIGN KEY (town_id) REFERENCES town (id))",
        VIEW,
        INDEX,
        "CREATE TRIGGER noted AFTER DELETE ON person FOR EACH ROW INSERT INTO log VALUES (old.n)",
        "CREATE FUNCTION twice(n INTEGER) RETURNS INTEGER DETERMINISTIC RETURN n * 2",
        "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM log",
    ),
    {
        "views": (
            ("view grown",),
            "SELECT table_name, replace(view_definition, concat('`', database(), '`.'), '')"
            " FROM information_schema.views WHERE table_schema = database()",
        ),
        "triggers": (
            ("trigger noted",),
            "SELECT trigger_name, event_manipulation, action_statement FROM information_schema.triggers"
            " WHERE trigger_schema = database()",
        ),
        "routines": (
            ("function twice",),
            "SELECT routine_name, routine_definition FROM information_schema.routines"
            " WHERE routine_schema = database()",
        ),
        "events": (
            ("event nightly",),
            "SELECT event_name, event_definition, status FROM information_schema.events"
            " WHERE event_schema = database()",
        ),
        "indexes": (("index by_n",), OF_PERSON.format("index_name, column_name, non_unique", "statistics")),
        "UNIQUE": (("unique ",), OF_PERSON.format("index_name, column_name, non_unique", "statistics")),
        "CHECK": (
            ("check ",),
            "SELECT check_clause FROM information_schema.check_constraints WHERE constraint_schema = database()",
        ),
        "foreign keys": (
            ("foreign key ",),
            "SELECT constraint_name, referenced_table_name FROM information_schema.referential_constraints"
            " WHERE constraint_schema = database()",
        ),
        "collations of columns": (
            ("collation name",),
            OF_PERSON.format("column_name, collation_name", "columns"),
        ),
        "AUTOINCREMENT": (("autoincrement id",), OF_PERSON.format("column_name, extra", "columns")),
        "comments": (("comment name",), OF_PERSON.format("column_name, column_comment", "columns")),
    },
)


def of_constraints(kind: str) -> str:
    return (
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE contype = '{kind}' AND conrelid = to_regclass('public.person')"
    )


def of_column(what: str) -> str:
    return f"SELECT attname, {what} FROM pg_attribute WHERE attrelid = to_regclass('public.person') AND attnum > 0"


POSTGRESQL = Server(
    (
        TOWN,
        LOG,
        "CREATE TABLE person (id INTEGER GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"
        " name VARCHAR(40) COLLATE ucs_basic, code VARCHAR(40) UNIQUE, n INTEGER CHECK (n > 0),"
        " town_id INTEGER REFERENCES town (id), EXCLUDE (n WITH =))",
        "COMMENT ON COLUMN person.name IS 'as written'",
        VIEW,
        INDEX,
        *PARTIAL,
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO log VALUES (old.n); RETURN old; END'",
        "CREATE TRIGGER noted AFTER DELETE ON person FOR EACH ROW EXECUTE FUNCTION note()",
        "CREATE RULE kept AS ON DELETE TO town DO INSTEAD NOTHING",
        "CREATE POLICY of_age ON person USING (n > 17)",
        "CREATE TYPE mood AS ENUM ('glad', 'sad')",
        "CREATE DOMAIN age AS INTEGER CHECK (VALUE > 0)",
        "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM person",
    ),
    {
        "views": (("view grown",), "SELECT pg_get_viewdef(to_regclass('public.grown'))"),
        "triggers": (
            ("trigger noted",),
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger"
            " WHERE tgrelid = to_regclass('public.person') AND tgname = 'noted'",
        ),
        "routines": (
            ("function note",),
            "SELECT prosrc FROM pg_proc WHERE proname = 'note' AND pronamespace = 'public'::regnamespace",
        ),
        "rules": (
            ("rule kept",),
            "SELECT pg_get_ruledef(oid) FROM pg_rewrite"
            " WHERE ev_class = to_regclass('public.town') AND rulename = 'kept'",
        ),
        "policies": (("policy of_age",), "SELECT policyname, qual FROM pg_policies WHERE schemaname = 'public'"),
        "types": (
            ("type mood", "type age"),
            "SELECT typname::text, typtype::text, format_type(typbasetype, typtypmod) FROM pg_type"
            " WHERE typname IN ('mood', 'age') AND typnamespace = 'public'::regnamespace ORDER BY 1",
        ),
        "materialized views": (
            ("materialized view counted",),
            "SELECT definition, (SELECT count FROM counted)"
            " FROM pg_matviews WHERE matviewname = 'counted' AND schemaname = 'public'",
        ),
        "indexes": (
            ("index by_n", "index some_n", "index by_lower"),
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
            " AND indexname IN ('by_n', 'some_n', 'by_lower') ORDER BY 1",
        ),
        "UNIQUE": (("unique ",), of_constraints("u")),
        "CHECK": (("check ",), of_constraints("c")),
        "EXCLUDE": (("exclude ",), of_constraints("x")),
        "foreign keys": (("foreign key ",), of_constraints("f")),
        "collations of columns": (("collation name",), of_column("attcollation::regcollation::text")),
        "AUTOINCREMENT": (("autoincrement id",), of_column("attidentity::text")),
        "comments": (("comment name",), of_column("col_description(attrelid, attnum)")),
    },
)
SERVERS = {"sqlite": SQLITE, "mariadb": MARIADB, "postgresql": POSTGRESQL}
ROWS = ("INSERT INTO town VALUES (1)", "INSERT INTO person VALUES (1, 'Ann', 'a1', 18, 1)")


def read_page() -> dict[str, dict[str, str]]:
    """By kind: the cells of its row, by the heads of their columns; of rows that name this file."""
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    head = next(line for line in lines if line[0] == "kind")
    rows = [
        dict(zip(head, line, strict=True)) for line in lines if len(line) == len(head) and "objects/test_" in line[-1]
    ]
    return {kind: row for row in rows if "test_guarantees" in row["tests"] for kind in row["kind"].split(", ")}


def look(host: HostApp, server: str) -> dict[str, list[tuple[object, ...]]]:
    return {kind: host.query(query) for kind, (_, query) in SERVERS[server].kinds.items()}


def must(host: HostApp, *arguments: str) -> str:
    ended = host.run(*arguments)
    assert ended.status == 0, ended.stderr + ended.stdout
    return ended.stdout


def not_migrated(shown: str) -> list[str]:
    return [line.strip() for line in shown.partition("Not migrated")[2].splitlines()[1:] if line.startswith("  ")]


def compare(before: dict[str, list[tuple[object, ...]]], host: HostApp, server: str, word: str) -> dict[str, str]:
    after = look(host, server)
    return {kind: word if rows and rows == after[kind] else "gone" for kind, rows in before.items()}


def migrate(make_host: Make, source: HostApp, name: str, server: str, *statements: str) -> tuple[HostApp, list[str]]:
    """A host whose revision makes no more than these, with all rows of a source; and what the receipt names."""
    host = make_host(server, name)
    host.release(sql(*statements))
    host.config["FERRY_SOURCE"] = source.url
    return host, not_migrated(must(host, "db-migrate-data", "--yes"))


def observe_source(make_host: Make, source: HostApp, server: str, target: str) -> dict[str, str]:
    """What becomes of each kind: where the revision of the target makes the like of it, and where it does not."""
    host, with_all = migrate(make_host, source, f"all-{target}", target, *SERVERS[target].statements)
    _, without = migrate(make_host, source, f"none-{target}", target, *LACKING)
    objects = look(host, target)
    cells = {}
    for kind, (labels, _) in SERVERS[server].kinds.items():
        is_named = all(any(line.startswith(label) for line in without) for label in labels)
        is_made = bool(objects.get(kind)) and not any(line.startswith(labels) for line in with_all)
        cells[kind] = ("made, else " if is_made else "") + ("named" if is_named else "silent")
    return cells


def observe(make_host: Make, server: str) -> dict[str, dict[str, str]]:
    """The cells of each column, by kind, as runs show them."""
    host = make_host(server, "home")
    host.release(sql(*SERVERS[server].statements))
    host.upgrade()
    host.execute(*ROWS)
    if "materialized views" in SERVERS[server].kinds:
        host.execute("REFRESH MATERIALIZED VIEW counted")
    before = look(host, server)
    same = observe_source(make_host, host, server, server)
    other = observe_source(make_host, host, server, OTHER[server])
    host.release(sql("CREATE TABLE later (id INTEGER PRIMARY KEY)"))
    must(host, "db-migrate-data", "self", "--yes")
    after_self = compare(before, host, server, "exact")
    must(host, "db-rollback", "--yes")
    rolled_back = compare(before, host, server, "exact")
    must(host, "db-backup")
    must(host, "db-backup", "--portable", str(host.directory / "rows.json"))
    host.execute("DROP VIEW grown")
    must(host, "db-restore", "--yes")
    restored = compare(before, host, server, "exact")
    host.execute("DROP VIEW grown")
    must(host, "db-restore", str(host.directory / "rows.json"), "--yes")
    rebuilt = compare(before, host, server, "made")
    return dict(zip(COLUMNS, (after_self, same, other, restored, rebuilt, rolled_back), strict=True))


@pytest.mark.parametrize("server", SERVERS)
def test_each_cell_is_what_runs_show(make_host: Make, server: str) -> None:
    page = read_page()
    cells = observe(make_host, server)
    wrong = {}
    for column, kinds in cells.items():
        for kind, cell in kinds.items():
            written = page[kind][column]
            if written == OF_ANOTHER_ROW:
                continue
            # Where the other server has no such kind there is nothing that a revision could make.
            if cell not in (written, written.removeprefix("made, else ") if column == COLUMNS[2] else written):
                wrong[kind, column] = (cell, written)
    assert wrong == {}


def test_a_row_that_names_this_file_has_a_kind_that_is_made_here() -> None:
    assert set(read_page()) == {kind for server in SERVERS.values() for kind in server.kinds}
