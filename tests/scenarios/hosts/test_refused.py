"""What a host may not have: refused by name before the question, with nothing written; each line of docs/hosts.md."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event

from app.commands import bp
from app.dialects import dialect_for
from app.errors import Misconfigured, Protected
from tests.support.places import new_name
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.site import APART

from .foreign import Foreign, things

HISTORY = ("db-init", "db-migrate-data")
"""Commands that run revisions; the other ones carry what is there."""


@pytest.fixture
def host(tmp_path: Path) -> Foreign:
    """A host behind its head, with a row."""
    made = Foreign(tmp_path)
    made.at("one")
    return made


# Several databases


def test_binds_are_refused_before_any_code_of_a_multidb_env_runs(host: Foreign) -> None:
    archive, ran = host.directory / "archive.db", host.directory / "ran"
    with sqlite3.connect(archive) as connection:
        connection.execute("CREATE TABLE precious (x)")
    connection.close()
    template = Path(flask_migrate.__file__).parent / "templates" / "flask-multidb" / "env.py"
    env = f"import pathlib; pathlib.Path({str(ran)!r}).touch()\n" + template.read_text()
    (host.migrations / "env.py").write_text(env)
    host.add("three", "two", "op.execute('DROP TABLE IF EXISTS precious')")
    host.config["SQLALCHEMY_BINDS"] = {"archive": f"sqlite:///{archive}"}
    host.assert_refused("SQLALCHEMY_BINDS", "archive")
    host.assert_can_look("SQLALCHEMY_BINDS", "archive")
    assert not ran.exists()
    # The file would have run: without the further database it does.
    host.config.clear()
    (host.migrations / "versions" / "three.py").unlink()
    for path in (host.migrations / "versions").glob("*.py"):
        path.write_text(path.read_text().replace("def upgrade():", "def upgrade(engine_name):"))
    host.ok("db-migrate-data")
    assert ran.exists()
    assert host.rows() == [(1, "kept", None)]


def test_a_bind_that_models_have_tables_in(host: Foreign) -> None:
    def models(db: SQLAlchemy) -> None:
        things(db)
        type("Visit", (db.Model,), {"__bind_key__": "archive", "id": db.Column(db.Integer, primary_key=True)})

    host.models = models
    host.config["SQLALCHEMY_BINDS"] = {"archive": f"sqlite:///{host.directory / 'archive.db'}"}
    host.assert_refused("names further databases (archive), and models have tables in them")
    host.assert_can_look("archive")


def test_a_bind_that_only_models_name(host: Foreign) -> None:
    def models(db: SQLAlchemy) -> None:
        things(db)
        type("Visit", (db.Model,), {"__bind_key__": "analytics", "id": db.Column(db.Integer, primary_key=True)})

    host.models = models
    host.assert_refused("__bind_key__", "analytics")
    host.assert_can_look("__bind_key__")


# Other schemas


def in_schema(db: SQLAlchemy) -> None:
    things(db)
    sa.Table("log", db.metadata, sa.Column("id", sa.Integer, primary_key=True), schema="audit")


def type_in_schema(db: SQLAlchemy) -> None:
    things(db)
    kind = sa.Enum("a", "b", name="kind", schema="audit")
    sa.Table("log", db.metadata, sa.Column("kind", kind, primary_key=True))


@pytest.mark.parametrize(("models", "named"), [(in_schema, "audit.log"), (type_in_schema, "log.kind")])
def test_models_of_another_schema(host: Foreign, models: Callable[[SQLAlchemy], None], named: str) -> None:
    host.models = models
    host.assert_refused("schema", named)
    host.assert_can_look(named)


@pytest.mark.parametrize(
    ("upgrade", "said"),
    [
        ("op.create_table('log', sa.Column('id', sa.Integer), schema='audit')", "schema='audit'"),
        ("where = 'audit'\nop.add_column('thing', sa.Column('x', sa.Integer), schema=where)", "schema='audit'"),
        ("op.bulk_insert(sa.table('log', sa.column('id'), schema='a' + 'b'), [])", "schema="),
        ("sa.create_engine('sqlite:///live.db').connect()", "create_engine()"),
    ],
)
def test_revisions_that_reach_elsewhere(host: Foreign, upgrade: str, said: str) -> None:
    host.add("three", "two", upgrade)
    host.assert_refused("three.py, line", said, commands=HISTORY)
    host.assert_can_look(said)


def test_a_schema_that_is_none_is_no_other(host: Foreign) -> None:
    host.add("three", "two", "with op.batch_alter_table('thing', schema=None) as b: b.drop_column('colour')")
    host.ok("db-migrate-data")
    assert host.rows() == [(1, "kept")]


def test_attach_in_a_revision_fails_and_changes_nothing(host: Foreign) -> None:
    other = host.directory / "other.db"
    host.add("three", "two", f"op.get_bind().connection.dbapi_connection.execute(\"ATTACH '{other}' AS other\")")
    before = host.rows()
    result = host.run("db-migrate-data")
    assert result.status == 22, result.stderr
    assert "not authorized" in result.stderr
    assert not other.exists()
    assert host.rows() == before


@contextmanager
def listening(listener: Callable[[Any, Any], None]) -> Iterator[None]:
    event.listen(Engine, "connect", listener)
    try:
        yield
    finally:
        event.remove(Engine, "connect", listener)


def test_a_listener_that_attaches_a_database_to_every_connection(host: Foreign) -> None:
    other = host.directory / "other.db"
    sqlite3.connect(other).close()
    with listening(lambda connection, _record: connection.execute(f"ATTACH '{other}' AS sidecar")):
        host.assert_refused("attaches", "sidecar", commands=HISTORY)


# Where Alembic keeps its version


@pytest.mark.parametrize(
    ("given", "value"),
    [("version_table_schema", "meta"), ("include_schemas", True)],
)
@pytest.mark.parametrize("through", ["Migrate", "env.py", "unseen"])
def test_a_version_kept_elsewhere(host: Foreign, given: str, value: Any, through: str) -> None:
    if through == "Migrate":
        host.alembic[given] = value
    elif through == "env.py":
        host.change_env("            **conf_args\n", f"            **conf_args, {given}={value!r}\n")
    else:
        host.change_env("conf_args = ", f"conf_args = {{{given!r}: {value!r}}} | ")
    if through == "unseen":
        # Only its run tells: then staging is there, and gone again.
        before = host.rows()
        result = host.run("db-migrate-data")
        assert (result.status, given in result.stderr, host.rows()) == (20, True, before), result.stderr
        host.assert_can_look(given)
        return
    host.assert_refused(given, repr(value), commands=HISTORY)
    host.assert_can_look(given)


def test_a_name_of_the_version_table_that_env_py_composes(host: Foreign) -> None:
    host.change_env("            **conf_args\n", "            **conf_args, version_table='schema' + '_version'\n")
    host.assert_refused("version_table", "revisions are only found in the table alembic_version", commands=HISTORY)
    host.assert_can_look("version_table")


def test_a_name_of_the_version_table_that_only_a_run_tells(host: Foreign) -> None:
    host.change_env("conf_args = ", "conf_args = {'version_table': 'schema_version'} | ")
    before = host.rows()
    result = host.run("db-migrate-data")
    assert (result.status, "schema_version" in result.stderr, host.rows()) == (20, True, before), result.stderr
    host.assert_can_look("schema_version")


def test_two_names_of_the_version_table(host: Foreign) -> None:
    host.alembic["version_table"] = "one_name"
    host.change_env("            **conf_args\n", "            **{**conf_args}, version_table='another'\n")
    host.assert_refused("'another'", "only found in the table one_name", commands=HISTORY)


def test_alembics_own_name_for_it_may_be_said(host: Foreign) -> None:
    host.alembic |= {"version_table": "alembic_version", "version_table_schema": None, "include_schemas": False}
    host.ok("db-migrate-data")
    assert host.rows() == [(1, "kept", None)]


@pytest.mark.parametrize("lines", ["sqlalchemy.create_engine(URL)", "create_async_engine(ASYNC).sync_engine"])
def test_an_env_py_with_an_engine_of_its_own_is_refused_before_anything_is_done(host: Foreign, lines: str) -> None:
    further = host.directory / "further.db"
    with closing(sqlite3.connect(further)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    lines = lines.replace("ASYNC", f"'sqlite+aiosqlite:///{further}'").replace("URL", f"'sqlite:///{further}'")
    imports = "import sqlalchemy; from sqlalchemy.ext.asyncio import create_async_engine"
    host.change_env("connectable = get_engine()", f"{imports}; connectable = {lines}")
    host.assert_refused("env.py", status=2, commands=HISTORY)
    host.assert_can_look("env.py")


def test_the_hint_for_an_engine_of_its_own_can_be_pasted(host: Foreign) -> None:
    url = f"sqlite:///{host.directory / 'further.db'}"
    host.change_env("connectable = get_engine()", f"import sqlalchemy; connectable = sqlalchemy.create_engine({url!r})")
    refused = host.run("db-migrate-data", "self", "--yes").stderr
    line = next(line for line in refused.splitlines() if line.startswith("connectable = "))
    host.change_env(f"connectable = sqlalchemy.create_engine({url!r})", line)
    host.ok("db-migrate-data", "self", "--yes")


@pytest.mark.parametrize("fault", ["raise KeyError('key')", "raise SystemExit(3)", "import nothing_of_the_kind"])
def test_an_env_py_that_fails_is_refused_before_anything_is_done(host: Foreign, fault: str) -> None:
    host.change_env("connectable = get_engine()", f"{fault}; connectable = get_engine()")
    host.assert_refused("env.py fails", status=2, commands=HISTORY)
    host.assert_can_look("env.py fails")


def test_a_restore_and_a_rollback_need_no_env_py(host: Foreign) -> None:
    host.ok("db-migrate-data", "self", "--yes")
    host.ok("db-backup")
    host.change_env("connectable = get_engine()", "raise KeyError('key')")
    host.ok("db-restore", "--yes")
    host.ok("db-rollback", "--yes")


# Engines that are not what their URL says


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"creator": lambda: sqlite3.connect(":memory:")}, "creator"),
        ({"module": sqlite3}, "module"),
        ({"execution_options": {"schema_translate_map": {None: "tenant"}}}, "schema_translate_map"),
        ({"connect_args": {"uri": True}}, "uri"),
    ],
)
@pytest.mark.parametrize("through", ["key", "object", "bind"])
def test_engine_options_that_lead_elsewhere(host: Foreign, options: dict[str, Any], said: str, through: str) -> None:
    if through == "key":
        host.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    elif through == "object":
        host.database["engine_options"] = options
    else:
        host.config["SQLALCHEMY_BINDS"] = {None: options | {"url": f"sqlite:///{host.live}"}}
        host.config["SQLALCHEMY_DATABASE_URI"] = None
    host.assert_refused("SQLALCHEMY_ENGINE_OPTIONS", said)
    if said != "creator":
        host.assert_can_look(said)


def test_connect_args_show_no_value(tmp_path: Path, mariadb: MariaDB, postgresql: PostgreSQL) -> None:
    """The database would be another one than the URL's; such values are often secrets."""
    for server, named in (
        (mariadb, {"password": "hidden-word", "db": "hidden-place"}),
        (postgresql, {"options": "-csearch_path=hidden_schema", "user": "hidden-user"}),
    ):
        url = server.url("t_foreign")
        directory = tmp_path / url.get_backend_name()
        directory.mkdir()
        host = Foreign(directory, {"SQLALCHEMY_DATABASE_URI": url})
        host.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"connect_args": named}
        for command in HISTORY:
            result = host.run(command)
            assert result.status == 20, result.stderr
            assert "connect_args" in result.stderr
            assert all(name in result.stderr for name in named)
            assert "hidden" not in result.stderr


def test_sessions_that_a_listener_puts_elsewhere(tmp_path: Path, mariadb: MariaDB, postgresql: PostgreSQL) -> None:
    """As apps with several tenants do: their tables are then in none that the URL means."""
    names = new_name(), new_name()
    for name in names:
        mariadb.execute(f"CREATE DATABASE {name}")
    postgresql.execute(f"CREATE DATABASE {names[0]}")
    postgresql.execute(f"CREATE SCHEMA {names[1]}", database=names[0])
    for server, moves in ((mariadb, f"USE {names[1]}"), (postgresql, f"SET search_path TO {names[1]}")):
        directory = tmp_path / type(server).__name__
        directory.mkdir()
        host = Foreign(directory, {"SQLALCHEMY_DATABASE_URI": server.url(names[0])})

        def move(connection: Any, _record: object, moves: str = moves) -> None:
            connection.cursor().execute(moves)
            connection.commit()

        host.on_connect = move
        result = host.run("db-init")
        assert (result.status, names[1] in result.stderr) == (20, True), result.stderr
        assert "Say it in the URL" in result.stderr
        host.on_connect = None
        host.ok("db-init")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite+pysqlcipher://:key-word@/secret.db", "sqlite+pysqlcipher"),
        ("sqlite+libsql:///remote.db", "sqlite+libsql"),
        ("mysql+pyodbc://user:key-word@host/shop", "mysql+pyodbc"),
        ("mysql+mysqldb://host/shop?read_default_file=/etc/my.cnf", "read_default_file"),
        ("postgresql+pygresql://host/shop", "postgresql+pygresql"),
        ("mssql+pyodbc://user:key-word@host/shop", "mssql databases are not supported"),
        ("oracle://user:key-word@host/shop", "oracle databases are not supported"),
        ("sqlite:///file::memory:?uri=true", "in-memory"),
        ("sqlite:///file:x.db?mode=memory&uri=true", "in-memory"),
        ("sqlite:///file:x.db?vfs=unix-none&uri=true", "VFS"),
    ],
)
def test_urls(url: str, said: str) -> None:
    with pytest.raises(Protected) as caught:
        dialect_for(sa.make_url(url))
    assert said in caught.value.message
    assert caught.value.hint
    assert "key-word" not in str(caught.value) + str(caught.value.hint)


@pytest.mark.parametrize("query", ["mode=ro", "immutable=1"])
def test_a_sqlite_file_that_the_app_only_reads(host: Foreign, query: str) -> None:
    host.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///file:{host.live}?{query}&uri=true"
    host.assert_refused("reading only", commands=HISTORY)
    host.ok("db-status")


# What is missing, or double


def bare(directory: Path) -> Flask:
    app = Flask("foreign", instance_path=str(directory), root_path=str(directory))
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///live.db"
    app.register_blueprint(bp)
    return app


def test_an_app_without_the_extensions(tmp_path: Path) -> None:
    app = bare(tmp_path)
    for given, lacks in ((None, ("Flask-SQLAlchemy (", "Flask-Migrate (")), ("sqlalchemy", ("Flask-Migrate (",))):
        if given:
            SQLAlchemy(app)
        for command in bp.cli.commands:
            done = app.test_cli_runner(**APART).invoke(args=[command])
            assert done.exit_code == 2, (command, done.stderr)
            assert all(f"it lacks {' and '.join(lacks)}"[:20] in done.stderr and name in done.stderr for name in lacks)
            assert app.test_cli_runner(**APART).invoke(args=[command, "--help"]).exit_code == 0
    assert not (tmp_path / "live.db").exists()


def test_flask_migrate_with_another_sqlalchemy(tmp_path: Path) -> None:
    app = bare(tmp_path)
    SQLAlchemy(app)
    Migrate(app, SQLAlchemy())
    done = app.test_cli_runner(**APART).invoke(args=["db-init"])
    assert (done.exit_code, "imported under two names" in done.stderr) == (2, True)


def test_without_a_default_database(host: Foreign) -> None:
    host.config |= {"SQLALCHEMY_DATABASE_URI": None, "SQLALCHEMY_BINDS": {"archive": "sqlite:///archive.db"}}
    host.assert_refused("no default database", "SQLALCHEMY_DATABASE_URI", status=2)


def test_models_that_flask_sqlalchemy_does_not_know(host: Foreign) -> None:
    host.models = lambda _db: None
    host.assert_refused("knows no table", "--schema migrations", status=2, commands=("db-init",))
    host.ok("db-init", "--schema", "migrations", "--yes")
    assert host.rows() == []


def test_two_heads(host: Foreign) -> None:
    host.add("other", "one")
    host.assert_refused("2 heads: other, two", "flask db merge", status=2, commands=HISTORY)
    host.assert_can_look("2 heads")


def test_a_group_of_commands(tmp_path: Path) -> None:
    app = Flask("foreign", instance_path=str(tmp_path))
    with pytest.raises(Misconfigured, match=r"cannot be in a group \(ferry\)"):
        app.register_blueprint(bp, cli_group="ferry")


def test_commands_that_the_app_replaced_later(host: Foreign) -> None:
    app = host.app()
    app.cli.command("db-restore")(lambda: None)
    done = app.test_cli_runner(**APART).invoke(args=["db-init", "--yes"])
    assert (done.exit_code, "db-restore" in done.stderr) == (2, True)
    assert host.rows() == [(1, "kept")]
