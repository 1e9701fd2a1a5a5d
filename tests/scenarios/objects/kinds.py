"""One object of each kind in the words of each server, and how to look at them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.scenarios.objects.states import PLAIN

TOWN = "CREATE TABLE town (id INTEGER PRIMARY KEY)"
LOG = "CREATE TABLE log (n INTEGER NOT NULL, at INTEGER NOT NULL DEFAULT 18, PRIMARY KEY (n, at))"
LACKING = (
    TOWN,
    "CREATE TABLE log (n INTEGER, at INTEGER)",
    "CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40), code VARCHAR(40), n INTEGER, town_id INTEGER)",
    *PLAIN.values(),
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


PERSON, OF_LOG = in_sqlite("person"), in_sqlite("log")
SQLITE = Server(
    (
        TOWN,
        LOG,
        "CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40) COLLATE NOCASE,"
        " code VARCHAR(40) UNIQUE, n INTEGER CHECK (n > 0), town_id INTEGER REFERENCES town (id))",
        VIEW,
        INDEX,
        *PARTIAL,
        "CREATE TRIGGER noted AFTER DELETE ON person BEGIN INSERT INTO log (n) VALUES (old.n); END",
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
        "primary keys": (("primary key ",), OF_LOG),
        "NOT NULL": (("not null n",), OF_LOG),
        "DEFAULT": (("default at",), OF_LOG),
        "functions and collations of the app": (
            ("check ck on page", "collation slug", "index by_loud"),
            "SELECT name, sql LIKE '%folded%REGEXP%' OR sql LIKE '%loud(slug)%' FROM sqlite_master"
            " WHERE name IN ('page', 'by_loud') ORDER BY 1",
        ),
    },
)
COLUMNS_OF_LOG = (
    "SELECT column_name, {} FROM information_schema.columns WHERE table_schema = {} AND table_name = 'log' ORDER BY 1"
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
        "CREATE TRIGGER noted AFTER DELETE ON person FOR EACH ROW INSERT INTO log (n) VALUES (old.n)",
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
        "primary keys": (("primary key ",), COLUMNS_OF_LOG.format("column_key", "database()")),
        "NOT NULL": (("not null n",), COLUMNS_OF_LOG.format("is_nullable", "database()")),
        "DEFAULT": (("default at",), COLUMNS_OF_LOG.format("column_default", "database()")),
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
        " 'BEGIN INSERT INTO log (n) VALUES (old.n); RETURN old; END'",
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
        "primary keys": (
            ("primary key ",),
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'log' AND schemaname = 'public'",
        ),
        "NOT NULL": (("not null n",), COLUMNS_OF_LOG.format("is_nullable", "'public'")),
        "DEFAULT": (("default at",), COLUMNS_OF_LOG.format("column_default", "'public'")),
        "comments": (("comment name",), of_column("col_description(attrelid, attnum)")),
    },
)
SERVERS = {"sqlite": SQLITE, "mariadb": MARIADB, "postgresql": POSTGRESQL}
ROWS = ("INSERT INTO town VALUES (1)", "INSERT INTO person VALUES (1, 'Ann', 'a1', 18, 1)")
