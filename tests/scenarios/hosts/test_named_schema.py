"""An app on PostgreSQL whose models all name a schema that its search path does not lead to: carried as any other."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from app.commands.functions import backup_database
from app.commands.generation import generation_mark
from app.dialects import dialect_for
from app.dialects.postgresql import fence
from app.export import export_blueprint
from tests.support.pages import take
from tests.support.places import connected, execute, new_name
from tests.support.servers.postgresql import PostgreSQL

from .foreign import Foreign
from .test_own_schema import CREATE, spell

SCHEMA = "shop"
THREE = f"op.add_column('thing', sa.Column('name', sa.Text), schema='{SCHEMA}')"
ROWS = f"SELECT * FROM {SCHEMA}.thing ORDER BY id"
COMMANDS = ("db-init", "db-migrate-data", "db-backup", "db-restore", "db-rollback")


def only_shop(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "schema" or name == SCHEMA


def made_database(server: PostgreSQL) -> sa.URL:
    """One with a table of somebody else in the schema that sessions take for theirs."""
    name = new_name()
    server.execute(f"CREATE DATABASE {name}")
    server.execute("CREATE TABLE thing (other int); INSERT INTO thing VALUES (7)", database=name)
    return server.url(name)


@pytest.fixture
def url(postgresql: PostgreSQL) -> sa.URL:
    return made_database(postgresql)


@pytest.fixture
def host(tmp_path: Path, url: sa.URL) -> Foreign:
    return named(tmp_path, url)


def named(directory: Path, url: sa.URL) -> Foreign:
    directory.mkdir(exist_ok=True)
    host = spell(Foreign(directory, {"SQLALCHEMY_DATABASE_URI": url}), SCHEMA)
    host.alembic |= {"include_schemas": True, "include_name": only_shop}
    return host


def fill(host: Foreign, url: sa.URL) -> None:
    """Its second revision, with two rows."""
    host.ok("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(url, f"INSERT INTO {SCHEMA}.thing VALUES (1, 'b'), (2, NULL)")


def look(url: sa.URL, sql: str) -> list[tuple[Any, ...]]:
    with connected(url) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def schemas(url: sa.URL) -> list[str]:
    names = look(url, "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information)' ORDER BY 1")
    return [name for (name,) in names]


def assert_others_untouched(url: sa.URL) -> None:
    assert look(url, "SELECT * FROM public.thing") == [(7,)]
    assert look(url, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(1,)]
    assert [name for name in schemas(url) if "staging" in name] == []


def mark_of(host: Foreign) -> str:
    app = host.app()
    with app.app_context():
        mark = generation_mark(host.db.session.connection())
        host.db.session.remove()
    host._closed(app)
    return mark


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_every_command(tmp_path: Path, url: sa.URL, driver: str) -> None:
    host = named(tmp_path, url.set(drivername=f"postgresql+{driver}"))
    fill(host, url)
    first = mark_of(host)
    host.add("three", "two", THREE)
    host.ok("db-backup")
    host.ok("db-migrate-data", "self", "--yes")
    assert look(url, ROWS) == [(1, "b", None), (2, None, None)]
    assert look(url, f"SELECT * FROM {SCHEMA}.alembic_version") == [("three",)]
    assert "" not in (first, mark_of(host))
    assert mark_of(host) != first
    status = host.ok("db-status")
    assert f"{url.database}.{SCHEMA}" in status.stdout
    host.ok("db-verify")
    assert "Nothing to do" in host.ok("db-migrate-data", "self", "--yes").stdout
    execute(url, f"INSERT INTO {SCHEMA}.thing VALUES (3, 'a', 'new')")
    host.ok("db-rollback", "--yes")
    assert look(url, ROWS) == [(1, "b"), (2, None)]
    host.ok("db-init", "--yes", "--schema", "models")
    assert look(url, ROWS) == []
    host.ok("db-restore", "--yes")
    assert look(url, ROWS) == [(1, "b"), (2, None)]
    assert_others_untouched(url)


def test_what_was_written_since_comes_along(host: Foreign, url: sa.URL) -> None:
    fill(host, url)
    back = f"def downgrade():\n    op.drop_column('thing', 'name', schema='{SCHEMA}')"
    host.add("three", "two", THREE)
    file = host.migrations / "versions" / "three.py"
    file.write_text(file.read_text().split("def downgrade")[0] + back + "\n")
    host.ok("db-migrate-data", "self", "--yes")
    execute(url, f"INSERT INTO {SCHEMA}.thing VALUES (3, 'a', NULL)")
    host.ok("db-rollback", "--keep-writes", "--yes")
    assert look(url, ROWS) == [(1, "b"), (2, None), (3, "a")]


def test_models_and_revisions_are_compared_there(host: Foreign, url: sa.URL) -> None:
    """As `flask db check` does; and without include_schemas, with which that sees no table at all."""
    fill(host, url)
    assert host.run("db-status", "--check").status in (0, 1)
    assert "is not in" not in host.ok("db-status").stdout
    del host.alembic["include_schemas"], host.alembic["include_name"]
    assert "is not in" not in host.ok("db-status").stdout
    built = host.ok("db-init", "--yes", "--no-seed")
    assert "differ" not in built.stderr
    assert look(url, f"SELECT * FROM {SCHEMA}.alembic_version") == [("two",)]


def test_flask_db_migrate_proposes_nothing(host: Foreign, url: sa.URL) -> None:
    fill(host, url)
    app = host.app()
    with app.app_context():
        flask_migrate.check(directory=str(host.migrations))
    host._closed(app)


def of_metadata(host: Foreign) -> Foreign:
    """The schema is that of the metadata, in env.py too, which makes it where it is not there."""

    def models(db: SQLAlchemy) -> None:
        number = {"primary_key": True}
        kind = sa.Enum("a", "b", name="kind", metadata=db.metadata)
        sa.Table("thing", db.metadata, sa.Column("id", sa.Integer, **number), sa.Column("kind", kind))
        referring = sa.Column("thing", sa.Integer, sa.ForeignKey(f"{SCHEMA}.thing.id"), index=False)
        part = sa.Table("part", db.metadata, sa.Column("id", sa.Integer, **number), referring)
        sa.Index("by_thing", part.c.thing)

    host.models = models
    host.database = {"metadata": sa.MetaData(schema=SCHEMA)}
    del host.alembic["version_table_schema"]
    host.change_env(
        "            **conf_args\n", "            **conf_args, version_table_schema=get_metadata().schema\n"
    )
    host.change_env(
        "    with connectable.connect() as connection:\n",
        "    with connectable.connect() as connection:\n"
        f"        connection.exec_driver_sql('CREATE SCHEMA IF NOT EXISTS {SCHEMA}'); connection.commit()\n",
    )
    return host


def test_a_schema_of_the_metadata(host: Foreign, url: sa.URL) -> None:
    host.add("one", None, f'op.execute("CREATE SCHEMA \\"{SCHEMA}\\"")\n' + CREATE.format(schema=SCHEMA))
    fill(of_metadata(host), url)
    host.database = {"metadata": sa.MetaData(schema=SCHEMA)}
    host.add("three", "two", THREE)
    host.ok("db-migrate-data", "self", "--yes")
    assert look(url, ROWS) == [(1, "b", None), (2, None, None)]
    assert_others_untouched(url)


def seeding(host: Foreign) -> None:
    host.db.session.execute(sa.insert(host.db.metadata.tables[f"{SCHEMA}.thing"]).values(id=9, kind="a"))
    host.db.session.commit()


def test_a_seed(host: Foreign, url: sa.URL, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(pytest)("seed_of_named")
    module.load = lambda: seeding(host)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "seed_of_named", module)
    host.config["FERRY_SEED"] = "seed_of_named:load"
    host.ok("db-init", "--yes")
    assert look(url, ROWS) == [(9, "a")]


def test_a_seed_that_works_elsewhere(host: Foreign, url: sa.URL, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        host.db.session.execute(sa.text("CREATE TYPE size AS ENUM ('s')"))
        host.db.session.commit()

    module = type(pytest)("seed_elsewhere")
    module.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "seed_elsewhere", module)
    host.config["FERRY_SEED"] = "seed_elsewhere:load"
    refused = host.run("db-init", "--yes")
    assert refused.status == 1, refused.stderr
    assert f"it changed public.size, outside the schema {SCHEMA} that is being built" in refused.stderr
    assert SCHEMA not in schemas(url) or look(url, f"SELECT to_regclass('{SCHEMA}.thing')") == [(None,)]
    assert look(url, "SELECT to_regtype('public.size')::text") == [(None,)]


def test_a_table_of_revisions_of_another_name(host: Foreign, url: sa.URL) -> None:
    host.alembic["version_table"] = "versions"
    fill(host, url)
    host.add("three", "two", THREE)
    host.ok("db-migrate-data", "self", "--yes")
    assert look(url, f"SELECT * FROM {SCHEMA}.versions") == [("three",)]
    host.ok("db-rollback", "--yes")
    assert look(url, f"SELECT * FROM {SCHEMA}.versions") == [("two",)]
    assert look(url, "SELECT to_regclass('public.versions')::text") == [(None,)]


def in_public(directory: Path, url: sa.URL, **options: Any) -> Foreign:
    directory.mkdir()
    execute(url, "DROP TABLE thing")
    host = Foreign(directory, {"SQLALCHEMY_DATABASE_URI": url})
    host.alembic |= {"include_schemas": True, **options}
    return host


def test_all_schemas_where_models_name_none(tmp_path: Path, url: sa.URL) -> None:
    """The message has the filter to write; with it nothing of Flask-Ferry's is compared."""
    host = in_public(tmp_path / "app", url)
    host.add("three", "two", "op.add_column('thing', sa.Column('size', sa.Integer))")
    refused = host.run("db-init", "--schema", "migrations", "--no-seed", "--yes")
    assert (refused.status, "flask db migrate would drop" in refused.stderr) == (20, True), refused.stderr
    [line] = re.findall(r"include_name=(lambda .*)", refused.stderr)
    host.alembic["include_name"] = eval(line)
    host.ok("db-init", "--schema", "migrations", "--no-seed", "--yes")
    host.add("four", "three", "op.add_column('thing', sa.Column('weight', sa.Integer))")
    host.ok("db-migrate-data", "self", "--yes")
    drift = re.findall(r"(\w+ \S+) of the database is in no model", host.ok("db-status").stdout)
    assert sorted(drift) == ["column thing.size", "column thing.weight"]


# Sources


def migrate_from(host: Foreign, source: sa.URL) -> None:
    host.config["FERRY_SOURCE"] = source.render_as_string(hide_password=False)
    host.ok("db-migrate-data", "--yes")


def test_a_file(host: Foreign, url: sa.URL) -> None:
    file = host.directory / "old.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        connection.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, kind VARCHAR(1))")
        connection.execute("INSERT INTO alembic_version VALUES ('one')")
        connection.execute("INSERT INTO thing VALUES (5, 'a')")
    host.ok("db-migrate-data", str(file), "--yes")
    assert look(url, ROWS) == [(5, "a")]
    assert look(url, f"SELECT * FROM {SCHEMA}.part") == [(5, 5)]
    assert_others_untouched(url)


def test_another_database_of_the_app(host: Foreign, url: sa.URL, postgresql: PostgreSQL, tmp_path: Path) -> None:
    """Its URL names the schema as little as the app's own does."""
    other = made_database(postgresql)
    old = named(tmp_path / "old", other)
    fill(old, other)
    host.add("three", "two", THREE)
    migrate_from(host, other)
    assert look(url, ROWS) == [(1, "b", None), (2, None, None)]
    assert_others_untouched(other)


def test_a_database_of_before_the_models_named_it(host: Foreign, url: sa.URL, postgresql: PostgreSQL) -> None:
    name = new_name()
    postgresql.execute(f"CREATE DATABASE {name}")
    postgresql.execute(
        "CREATE TYPE kind AS ENUM ('a', 'b'); CREATE TABLE thing (id int PRIMARY KEY, kind kind); CREATE TABLE part "
        "(id int PRIMARY KEY, thing int REFERENCES thing); CREATE INDEX by_thing ON part (thing); CREATE TABLE "
        "alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('two'); "
        "INSERT INTO thing VALUES (4, 'a')",
        database=name,
    )
    migrate_from(host, postgresql.url(name))
    assert look(url, ROWS) == [(4, "a")]


def test_the_database_itself_by_its_url(host: Foreign, url: sa.URL) -> None:
    fill(host, url)
    host.add("three", "two", THREE)
    migrate_from(host, url)
    assert look(url, ROWS) == [(1, "b", None), (2, None, None)]
    assert not (host.directory / "data.json").exists()


def test_a_backup_by_the_function(host: Foreign, url: sa.URL, tmp_path: Path) -> None:
    fill(host, url)
    app = host.app()
    with app.app_context():
        made = backup_database(url.render_as_string(hide_password=False), str(tmp_path / "copy.dump"))
    host._closed(app)
    execute(url, f"DELETE FROM {SCHEMA}.thing")
    host.ok("db-restore", made, "--yes")
    assert look(url, ROWS) == [(1, "b"), (2, None)]


# Killed


@pytest.mark.parametrize("is_committed", [False, True])
def test_killed_at_the_cut_over(host: Foreign, url: sa.URL, is_committed: bool) -> None:
    fill(host, url)
    host.add("three", "two", THREE)
    if (child := os.fork()) == 0:
        commit = fence.commit

        def kill(*arguments: Any) -> None:
            if is_committed:
                commit(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        fence.commit = kill  # type: ignore[assignment]
        try:
            host.run("db-migrate-data", "self", "--yes")
        finally:
            os._exit(3)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    new = [(1, "b", None), (2, None, None)]
    assert look(url, ROWS) == (new if is_committed else [(1, "b"), (2, None)])
    assert host.run("db-status", "--check").status == 25
    host.ok("db-migrate-data", "self", "--yes")
    assert look(url, ROWS) == new
    host.ok("db-rollback", "--yes")
    assert look(url, ROWS) == [(1, "b"), (2, None)]
    assert_others_untouched(url)


# What is refused


def in_another(db: SQLAlchemy) -> None:
    sa.Table("log", db.metadata, sa.Column("id", sa.Integer, primary_key=True), schema="audit")


def in_none(db: SQLAlchemy) -> None:
    sa.Table("log", db.metadata, sa.Column("id", sa.Integer, primary_key=True))


@pytest.mark.parametrize(("more", "here"), [(in_another, "public"), (in_none, "public")])
def test_two_schemas(host: Foreign, url: sa.URL, more: Callable[[SQLAlchemy], None], here: str) -> None:
    fill(host, url)
    before, models = schemas(url), host.models

    def both(db: SQLAlchemy) -> None:
        models(db)
        more(db)

    host.models = both
    for command in COMMANDS:
        refused = host.run(command)
        assert refused.status == 20, refused.stderr
        assert "Models name a schema: " in refused.stderr
        assert f"One run carries one schema, here {here}: only that has a staging, a backup" in refused.stderr
        assert "foreign keys would point to what was replaced" in refused.stderr
    assert schemas(url) == before
    assert look(url, ROWS) == [(1, "b"), (2, None)]


def test_revisions_counted_elsewhere(host: Foreign, url: sa.URL) -> None:
    """The message has what to write and to run; with that it works."""
    fill(host, url)
    execute(url, f"ALTER TABLE {SCHEMA}.alembic_version SET SCHEMA public")
    del host.alembic["version_table_schema"]
    for command in COMMANDS:
        refused = host.run(command)
        assert (refused.status, "The table of revisions is looked for in public" in refused.stderr) == (20, True)
    [statement] = [line for line in refused.stderr.splitlines() if "ALTER TABLE" in line]
    assert f'version_table_schema="{SCHEMA}", include_schemas=True' in refused.stderr
    execute(url, statement.partition("once: ")[2])
    host.alembic["version_table_schema"] = SCHEMA
    host.add("three", "two", THREE)
    host.ok("db-migrate-data", "self", "--yes")
    assert look(url, ROWS) == [(1, "b", None), (2, None, None)]


def test_what_only_a_run_of_env_tells(host: Foreign, url: sa.URL) -> None:
    fill(host, url)
    host.add("three", "two", THREE)
    del host.alembic["version_table_schema"]
    host.change_env("conf_args = ", "# version_table_schema: not here\n    conf_args = ")
    refused = host.run("db-migrate-data")
    assert (refused.status, "does not set version_table_schema" in refused.stderr) == (20, True), refused.stderr
    assert_others_untouched(url)


def no_ferry(_thing: Any, _name: str | None, _kind: str, _reflected: bool, _other: Any) -> bool:
    return getattr(_thing, "schema", None) != "ferry" and "ferry" not in str(getattr(_thing, "schema", None))


def test_all_schemas_without_a_filter(host: Foreign, url: sa.URL) -> None:
    """`flask db migrate` would drop the control area."""
    fill(host, url)
    host.add("three", "two", THREE)
    del host.alembic["include_name"]
    for command in ("db-init", "db-migrate-data"):
        refused = host.run(command)
        assert refused.status == 20, refused.stderr
        assert "flask db migrate would drop the tables of Flask-Ferry's" in refused.stderr
        assert f'name == "{SCHEMA}"' in refused.stderr
    host.alembic["include_object"] = no_ferry
    host.ok("db-migrate-data")


def test_a_type_that_names_none(host: Foreign, url: sa.URL) -> None:
    def models(db: SQLAlchemy) -> None:
        kinds = sa.ARRAY(sa.Enum("a", "b", name="kind", inherit_schema=False))
        size = sa.Column("size", sa.Enum("s", "m", native_enum=False), nullable=True)
        number, done = sa.Column("id", sa.Integer, primary_key=True), sa.Column("done", sa.Boolean)
        sa.Table("thing", db.metadata, number, sa.Column("kinds", kinds), size, done, schema=SCHEMA)

    host.models = models
    refused = host.run("db-init")
    assert refused.status == 20, refused.stderr
    assert "but not for the types of thing.kinds: these" in refused.stderr
    assert schemas(url) == ["public"]


@pytest.mark.parametrize(
    ("upgrade", "what"),
    [
        ("op.create_table('log', sa.Column('id', sa.Integer))", "public.log"),
        ("op.execute('DELETE FROM thing')", "public.thing"),
        ("op.execute(\"CREATE TYPE size AS ENUM ('s', 'm')\")", "public.size"),
        ("op.execute('CREATE FUNCTION one() RETURNS int LANGUAGE sql AS $$SELECT 1$$')", "public.one"),
        ("op.execute(\"ALTER TYPE mood ADD VALUE 'calm'\")", "public.mood"),
        ("op.execute('DROP TYPE mood')", "public.mood"),
    ],
)
def test_a_revision_that_names_no_schema(host: Foreign, url: sa.URL, upgrade: str, what: str) -> None:
    fill(host, url)
    execute(url, "CREATE TYPE public.mood AS ENUM ('wild')")
    host.add("three", "two", upgrade)
    refused = host.run("db-migrate-data", "self", "--yes")
    assert refused.status == 22, refused.stderr
    assert f"it changed {what}, outside the schema {SCHEMA} that is being built" in refused.stderr
    assert look(url, ROWS) == [(1, "b"), (2, None)]
    assert look(url, "SELECT enumlabel FROM pg_enum WHERE enumtypid = 'public.mood'::regtype") == [("wild",)]
    assert_others_untouched(url)


@pytest.mark.executes("docs/hosts.md", "version_table_schema=")
def test_the_lines_of_the_page(host: Foreign, url: sa.URL) -> None:
    """What docs/hosts.md has for `Migrate(...)` is what these tests give."""
    [lines] = take("docs/hosts.md", "version_table_schema=")
    options: dict[str, Any] = {}
    exec(lines, {"Migrate": lambda app, db, **more: options.update(more), "app": None, "db": None})  # ours
    host.alembic = options
    fill(host, url)
    host.add("three", "two", THREE)
    host.ok("db-migrate-data", "self", "--yes")
    assert look(url, ROWS) == [(1, "b", None), (2, None, None)]


def test_a_filled_database_without_revisions(host: Foreign, url: sa.URL) -> None:
    fill(host, url)
    execute(url, f"DROP TABLE {SCHEMA}.alembic_version")
    for file in (host.migrations / "versions").glob("*.py"):
        file.unlink()
    host.ok("db-adopt")
    [file] = (host.migrations / "versions").glob("*.py")
    assert f"schema='{SCHEMA}'" in file.read_text()
    assert "ferry" not in file.read_text()
    host.add("three", file.stem.partition("_")[0], THREE)
    host.ok("db-migrate-data", "self", "--yes")
    assert look(url, ROWS) == [(1, "b", None), (2, None, None)]


def test_another_app_reads_it_over_http(host: Foreign, url: sa.URL) -> None:
    fill(host, url)
    app = host.app()
    app.register_blueprint(export_blueprint(authorize=lambda: None))
    manifest = app.test_client().get("/ferry/manifest").json
    rows = app.test_client().get("/ferry/export")
    host._closed(app)
    assert manifest is not None
    assert (manifest["revision"], sorted(manifest["tables"])) == ("two", ["part", "thing"])
    assert manifest["tables"]["thing"]["rows"] == 2
    assert rows.status_code == 200


def leave_in_public(url: sa.URL, revision: str) -> None:
    execute(url, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    execute(url, f"INSERT INTO alembic_version VALUES ('{revision}')")


def test_tables_that_stayed_where_they_were(host: Foreign, url: sa.URL) -> None:
    """A run would fill the new schema anew, past what is live."""
    leave_in_public(url, "one")
    for command in COMMANDS:
        refused = host.run(command)
        assert refused.status == 20, refused.stderr
        assert f"All models name the schema {SCHEMA}, which has no tables: this app's are in public." in refused.stderr
    statements = re.findall(r"ALTER TABLE .*;", refused.stderr)
    assert statements == [f'ALTER TABLE "{name}" SET SCHEMA "{SCHEMA}";' for name in ("alembic_version", "thing")]
    assert schemas(url) == ["public"]


def test_revisions_of_another_app_are_none_of_its_own(host: Foreign, url: sa.URL) -> None:
    leave_in_public(url, "0badcafe")
    fill(host, url)
    host.ok("db-migrate-data", "self", "--yes")
    assert look(url, "SELECT * FROM public.alembic_version") == [("0badcafe",)]


@pytest.mark.parametrize("path", ['"$user", public, shop', "shop, public"])
def test_a_search_path_that_leads_there_too(host: Foreign, url: sa.URL, path: str) -> None:
    execute(url, f"ALTER DATABASE {url.database} SET search_path = {path}")
    fill(host, url)
    host.add("three", "two", f"{THREE}\nop.execute('UPDATE part SET thing = NULL')")
    execute(url, f"INSERT INTO {SCHEMA}.part VALUES (1, 2)")
    host.ok("db-migrate-data", "self", "--yes")
    assert look(url, f"SELECT * FROM {SCHEMA}.part") == [(1, None)]
    assert look(url, ROWS) == [(1, "b", None), (2, None, None)]
    host.ok("db-rollback", "--yes")
    assert look(url, f"SELECT * FROM {SCHEMA}.part") == [(1, 2)]


OBJECTS = """
op.execute('''CREATE VIEW shop.kinds AS SELECT kind, count(*) AS number FROM shop.thing GROUP BY kind''')
op.execute('''CREATE FUNCTION shop.loud() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO shop.part VALUES (new.id, new.id); RETURN NULL; END$$''')
op.execute('''CREATE TRIGGER loud AFTER INSERT ON shop.thing FOR EACH ROW EXECUTE FUNCTION shop.loud()''')
op.execute('''ALTER TYPE shop.kind ADD VALUE 'c' ''')
op.execute('''CREATE DOMAIN shop.short AS varchar(3) CHECK (value <> '')''')
op.execute('''ALTER TABLE shop.part ADD COLUMN name shop.short, ADD COLUMN kind shop.kind DEFAULT 'a' ''')
"""


def test_it_ends_as_a_plain_upgrade_does(host: Foreign, url: sa.URL, postgresql: PostgreSQL, tmp_path: Path) -> None:
    """Object for object: types, views, functions, triggers and what refers to them are spelled the same."""
    fill(host, url)
    host.add("three", "two", OBJECTS)
    other = made_database(postgresql)
    execute(other, f"CREATE SCHEMA {SCHEMA}")
    plain = named(tmp_path / "plain", other)
    plain.add("three", "two", OBJECTS)
    app = plain.app()
    with app.app_context():
        flask_migrate.upgrade(directory=str(plain.migrations))
    plain._closed(app)
    host.ok("db-migrate-data", "self", "--yes")
    fingerprints = [dialect_for(at, named_schema=SCHEMA).schema_fingerprint(at) for at in (url, other)]
    assert fingerprints[0] == fingerprints[1]
    execute(url, f"INSERT INTO {SCHEMA}.thing VALUES (3, 'c')")
    assert look(url, f"SELECT * FROM {SCHEMA}.part") == [(3, 3, None, "a")]
    assert look(url, f"SELECT * FROM {SCHEMA}.kinds WHERE kind = 'c'") == [("c", 1)]


def test_one_of_several_databases(tmp_path: Path, url: sa.URL) -> None:
    """Chosen, it is looked at for the schema of its own models."""
    host = named(tmp_path, url)
    models = host.models

    def bound(db: SQLAlchemy) -> None:
        db.metadatas["stats"] = sa.MetaData(info={"bind_key": "stats"})
        models(type("Of", (), {"metadata": db.metadatas["stats"]})())  # type: ignore[arg-type]

    host.models = bound
    host.config = {"SQLALCHEMY_BINDS": {"stats": url}}
    template = Path(flask_migrate.__file__).parent / "templates" / "flask-multidb" / "env.py"
    (host.migrations / "env.py").write_text(template.read_text())
    for file in (host.migrations / "versions").glob("*.py"):
        text = file.read_text().replace(
            "def upgrade():\n", "def upgrade(engine_name):\n    if not engine_name:\n        return\n"
        )
        file.write_text(text)
    host.ok("db-init", "--schema", "migrations", "--no-seed", "--yes", "--bind", "stats")
    execute(url, f"INSERT INTO {SCHEMA}.thing VALUES (1, 'b')")
    host.ok("db-backup", "--bind", "stats")
    assert look(url, ROWS) == [(1, "b")]
    assert_others_untouched(url)


@pytest.mark.parametrize("is_in_url", [False, True])
def test_a_name_that_is_too_long(tmp_path: Path, url: sa.URL, is_in_url: bool) -> None:
    schema = "inventory_of_all"
    at = url.update_query_dict({"options": f"-csearch_path={schema}"}) if is_in_url else url
    host = spell(Foreign(tmp_path, {"SQLALCHEMY_DATABASE_URI": at}), schema)
    for command in COMMANDS:
        refused = host.run(command)
        assert (refused.status, "leaves no room for those of staging schemas" in refused.stderr) == (20, True)
        assert "at most 15 bytes" in refused.stderr
    assert schemas(url) == ["public"]
