"""What a host may have: each line of docs/hosts.md that says "works", in one process."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from app.commands import bp
from app.dialects import dialect_for
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.site import query

from . import foreign
from .foreign import CREATE, Foreign, things

KEPT = [(1, "kept", None)]


@pytest.fixture
def host(tmp_path: Path) -> Foreign:
    """A host behind its head, with a row."""
    made = Foreign(tmp_path)
    made.at("one")
    return made


def migrates(host: Foreign) -> None:
    """Its next release, the way back, and the look at both; the backup is a step of the first."""
    host.ok("db-migrate-data")
    assert host.rows() == KEPT
    host.ok("db-status", "--check")
    host.ok("db-rollback")
    assert host.rows() == [(1, "kept")]


# Engines


@pytest.mark.parametrize(
    "options",
    [
        {"poolclass": NullPool},
        {"poolclass": QueuePool, "pool_size": 2, "pool_pre_ping": True, "pool_recycle": 60},
        {"poolclass": StaticPool, "connect_args": {"check_same_thread": False, "timeout": 3}},
        {"isolation_level": "AUTOCOMMIT"},
        {"execution_options": {"isolation_level": "SERIALIZABLE", "compiled_cache": None}, "echo": True},
    ],
)
def test_engine_options(host: Foreign, options: dict[str, Any]) -> None:
    host.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    migrates(host)


def seed_json() -> None:
    """Values that the standard library's JSON does not know."""
    current.db.session.execute(
        current.db.metadata.tables["box"]
        .insert()
        .values(id=1, what={"price": Decimal("1.10"), "on": dt.date(2024, 2, 29)})
    )
    current.db.session.commit()


current: Foreign


def test_json_is_written_as_the_app_writes_it(tmp_path: Path) -> None:
    global current
    current = host = Foreign(tmp_path, {"FERRY_SEED": "tests.scenarios.hosts.test_accepted:seed_json"})
    host.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"json_serializer": lambda value: json.dumps(value, default=str)}
    kind = sa.JSON()
    host.models = lambda db: sa.Table(
        "box", db.metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("what", kind)
    )
    host.ok("db-init")
    assert host.rows("box") == [(1, '{"price": "1.10", "on": "2024-02-29"}')]
    host.config["SQLALCHEMY_ENGINE_OPTIONS"] = {}
    failed = host.run("db-init")
    assert failed.status == 1, "the default serialiser knows neither type, so that the test proves nothing"


@pytest.mark.parametrize(
    "driver", ["mysqldb", pytest.param("mariadbconnector", marks=of_mariadb), "asyncmy", "mysqlconnector"]
)
def test_other_drivers_of_mysql(mariadb: MariaDB, driver: str) -> None:
    """Not installed here: ours connects in their place, to the same database."""
    backend = "mariadb" if driver == "mariadbconnector" else "mysql"
    mariadb.execute("CREATE DATABASE IF NOT EXISTS t_drivers")
    same_database(
        mariadb.url("t_drivers").set(drivername=f"{backend}+{driver}").update_query_dict({"charset": "utf8mb4"})
    )


@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg", "pg8000"])
def test_other_drivers_of_postgresql(postgresql: PostgreSQL, driver: str) -> None:
    query = {"prepared_statement_cache_size": "0"} if driver == "asyncpg" else {}
    same_database(postgresql.url("postgres").set(drivername=f"postgresql+{driver}").update_query_dict(query))


def same_database(url: sa.URL) -> None:
    dialect = dialect_for(url)
    assert dialect.exists(url)
    plain = url.set(drivername=url.get_backend_name(), query={})
    assert dialect.identity(url).uid == dialect_for(plain).identity(plain).uid
    beside = dialect.staging_url(url, "20260101T000000-abc123")
    dialect.prepare_staging(beside, url)
    with dialect.engine(beside).connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    dialect.drop(beside)


# SQLite's files


@pytest.mark.parametrize(
    "form",
    [
        "file:{}?uri=true",
        "file:{}?mode=rwc&uri=true",
        "file://{}?uri=true",
        "file://localhost{}?uri=true&cache=private",
    ],
)
def test_file_uris(tmp_path: Path, form: str) -> None:
    host = Foreign(tmp_path)
    host.at("one")
    odd = tmp_path / "a b%.db"
    host.live.rename(odd)
    written = str(odd).replace("%", "%25").replace(" ", "%20")
    host.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///" + form.format(written)
    host.ok("db-migrate-data")
    assert query(odd, "SELECT * FROM thing") == KEPT
    assert (tmp_path / "a b%.db.ferry").is_dir()
    assert not host.live.exists()


def test_a_name_that_begins_with_file_is_one_where_nobody_says_uri(tmp_path: Path) -> None:
    host = Foreign(tmp_path, {"SQLALCHEMY_DATABASE_URI": "sqlite:///file:plain.db"})
    host.ok("db-init")
    assert [path.name for path in tmp_path.glob("file:*")] == ["file:plain.db.ferry", "file:plain.db"]


def test_a_relative_path_counts_from_the_instance_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Foreign(tmp_path, {"SQLALCHEMY_DATABASE_URI": "sqlite:///live.db"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    host.at("one")
    host.ok("db-migrate-data")
    assert host.rows() == KEPT
    assert list(elsewhere.iterdir()) == []


# Models


def test_models_with_a_metadata_of_their_own(tmp_path: Path) -> None:
    def models(db: SQLAlchemy) -> None:
        things(db)
        columns = {"id": db.Column(db.Integer, primary_key=True)}
        # Flask-SQLAlchemy itself keeps no reference to the class.
        db.extra = type("Extra", (db.Model,), {"metadata": sa.MetaData(), "__tablename__": "extra", **columns})

    host = Foreign(tmp_path, models=models)
    host.add("three", "two", "op.create_table('extra', sa.Column('id', sa.Integer, primary_key=True))")
    host.change_env("target_db.metadatas[None]", "[target_db.metadatas[None], target_db.extra.metadata]")
    host.ok("db-init")
    assert host.rows("extra") == []
    host.ok("db-status", "--check")


def test_a_hook_that_decides_what_alembic_compares(tmp_path: Path) -> None:
    host = Foreign(tmp_path)
    host.add("three", "two", "op.create_table('legacy', sa.Column('id', sa.Integer, primary_key=True))")
    host.ok("db-init", "--schema", "migrations", "--no-seed", "--yes")
    drift = host.ok("db-status").stdout
    assert "legacy" in drift
    host.alembic["include_object"] = lambda _item, name, _kind, _reflected, _to: name != "legacy"
    assert "legacy" not in host.ok("db-status").stdout
    host.models = lambda db: sa.Table(
        "thing",
        db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("colour", sa.String(20)),
    )
    assert "column thing.name: type is" in host.ok("db-status", "-v").stdout
    host.alembic["compare_type"] = lambda *_arguments: False
    host.ok("db-status", "--check")


def test_without_batches(host: Foreign) -> None:
    host.alembic |= {"render_as_batch": False, "compare_type": False, "transaction_per_migration": True}
    migrates(host)


# Histories


def test_branches_that_were_merged(tmp_path: Path) -> None:
    """A database on one branch: the other branch's revisions run, and what they declare counts."""
    host = Foreign(tmp_path)
    host.add("left", "one", "op.create_table('a', sa.Column('id', sa.Integer, primary_key=True))")
    loses = "op.execute('CREATE TABLE b AS SELECT id FROM thing')"
    host.add("right", "one", loses)
    host.add("drops", "right", "op.drop_column('thing', 'name')", "ferry_losses = {'thing.name': 'nobody reads it'}")
    merge = (host.migrations / "versions" / "two.py").read_text()
    (host.migrations / "versions" / "two.py").write_text(merge.replace("'one'", "('left', 'drops')"))
    host.at("left")
    result = host.ok("db-migrate-data")
    assert "nobody reads it" in result.stdout
    assert host.rows() == [(1, None)]
    assert host.rows("b") == [(1,)]
    # Without its version it is found on its branch as well, and a database of the merge at the merge.
    for at in ("left", "two"):
        host.live.unlink()
        shutil.rmtree(tmp_path / "live.db.ferry", ignore_errors=True)
        if at == "left":
            host.at(at)
        else:
            host.ok("db-init", "--schema", "migrations", "--no-seed", "--yes")
        with sqlite3.connect(host.live) as connection:
            connection.execute("DROP TABLE alembic_version")
        connection.close()
        assert at in host.ok("db-migrate-data", "self", "--rerun", "--yes").stdout


def test_revisions_in_several_places(host: Foreign) -> None:
    more = host.directory / "more"
    more.mkdir()
    (host.migrations / "versions" / "two.py").rename(more / "two.py")
    ini = host.migrations / "alembic.ini"
    # Alembic before 1.16 knows the second name only.
    separated = "path_separator = os\nversion_path_separator = os"
    places = f"version_locations = %(here)s/versions{os.pathsep}{more}"
    ini.write_text(ini.read_text().replace("[alembic]", f"[alembic]\n{separated}\n{places}\n"))
    migrates(host)
    # What db-init remembers of the revisions ends with any of them, wherever it is.
    host.ok("db-init")
    host.ok("db-status", "--check")
    (more / "two.py").write_text((more / "two.py").read_text().replace("sa.String(20)", "sa.Integer"))
    assert ": type is" in host.run("db-init").stderr


def test_vacuum_in_a_revision(host: Foreign) -> None:
    host.add("three", "two", "with op.get_context().autocommit_block(): op.execute('VACUUM')")
    migrates(host)


# Apps


def test_a_listener_on_every_engine(host: Foreign) -> None:
    def strict(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA recursive_triggers = ON")

    event.listen(Engine, "connect", strict)
    try:
        migrates(host)
    finally:
        event.remove(Engine, "connect", strict)


def nested(app: Flask) -> None:
    outer = Blueprint("outer", __name__)
    outer.register_blueprint(bp)
    app.register_blueprint(outer, url_prefix="/outer")


@pytest.mark.parametrize(
    "register", [lambda app: app.register_blueprint(bp, url_prefix="/ferry", name="carrier"), nested]
)
def test_ways_to_register_it(tmp_path: Path, register: Callable[[Flask], None]) -> None:
    app = Flask("foreign", instance_path=str(tmp_path), root_path=str(tmp_path))
    register(app)
    assert set(bp.cli.commands) <= set(app.cli.commands)
    assert [rule.rule for rule in app.url_map.iter_rules()] == ["/static/<path:filename>"]


def test_two_apps_in_one_process(tmp_path: Path) -> None:
    """A factory that is called twice, or a host that is imported twice."""
    hosts = []
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        hosts.append(Foreign(tmp_path / name))
        hosts[-1].at("one")
    for host in hosts:
        migrates(host)


def test_migrate_under_another_name(host: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "Migrate", lambda app, db, **more: Migrate(app, db, command="alembic", **more))
    migrates(host)


OLD_ENV = """
import logging
from logging.config import fileConfig

from alembic import context
from flask import current_app
from sqlalchemy import engine_from_config, pool

config = context.config
fileConfig(config.config_file_name)
config.set_main_option('sqlalchemy.url', {url}.replace('%', '%%'))
target = current_app.extensions['migrate'].db.metadata


def online():
    settings = config.get_section(config.config_ini_section)
    connectable = engine_from_config(settings, prefix='sqlalchemy.', poolclass=pool.NullPool)
    with connectable.connect() as connection:
        options = current_app.extensions['migrate'].configure_args
        context.configure(connection=connection, target_metadata=target, **options)
        with context.begin_transaction():
            context.run_migrations()


online()
"""


@pytest.mark.parametrize(
    "url",
    ["current_app.config['SQLALCHEMY_DATABASE_URI']", "str(current_app.extensions['migrate'].db.engine.url)"],
    ids=["of the configuration", "of the engine"],
)
def test_an_env_py_of_an_older_template_makes_its_engine_of_the_configuration(host: Foreign, url: str) -> None:
    (host.migrations / "env.py").write_text(OLD_ENV.format(url=url))
    before = host.rows()
    host.ok("db-migrate-data", "self", "--yes")
    assert host.rows() == KEPT
    host.ok("db-status")
    host.ok("db-init", "--yes", "--schema", "migrations")
    host.ok("db-rollback", "--yes")
    assert host.rows() == KEPT
    assert before == [row[:2] for row in KEPT]


OF_2013 = """
from alembic import context
from flask import current_app
from sqlalchemy import engine_from_config, pool

config = context.config
config.set_main_option('sqlalchemy.url', current_app.config.get('SQLALCHEMY_DATABASE_URI'))
engine = engine_from_config(
    config.get_section(config.config_ini_section), prefix='sqlalchemy.', poolclass=pool.NullPool
)
connection = engine.connect()
context.configure(connection=connection, target_metadata=current_app.extensions['migrate'].db.metadata)
try:
    with context.begin_transaction():
        context.run_migrations()
finally:
    connection.close()
"""

SEVERAL = """
from alembic import context
from flask import current_app
from sqlalchemy import engine_from_config, pool

config = context.config
config.set_main_option('sqlalchemy.url', current_app.config.get('SQLALCHEMY_DATABASE_URI'))
for name, url in (current_app.config.get('SQLALCHEMY_BINDS') or {}).items():
    context.config.set_section_option(name, 'sqlalchemy.url', url)

main = config.get_section(config.config_ini_section)
engines = {'': engine_from_config(main, prefix='sqlalchemy.', poolclass=pool.NullPool)}
for name in current_app.config.get('SQLALCHEMY_BINDS') or ():
    engines[name] = engine_from_config(context.config.get_section(name), prefix='sqlalchemy.', poolclass=pool.NullPool)
opened = []
for name, engine in engines.items():
    connection = engine.connect()
    opened.append((name, connection, connection.begin()))
try:
    for name, connection, _ in opened:
        context.configure(
            connection=connection, upgrade_token=f'{name}_upgrades', downgrade_token=f'{name}_downgrades',
            target_metadata=current_app.extensions['migrate'].db.metadata,
        )
        context.run_migrations()
    for _, _, transaction in opened:
        transaction.commit()
except:
    for _, _, transaction in opened:
        transaction.rollback()
    raise
finally:
    for _, connection, _ in opened:
        connection.close()
"""


@pytest.mark.parametrize(
    "text",
    [
        OF_2013,
        SEVERAL,
        OLD_ENV.format(url="current_app.config['SQLALCHEMY_DATABASE_URI']").replace(
            "engine_from_config(settings, prefix='sqlalchemy.', poolclass=pool.NullPool)",
            "__import__('sqlalchemy').create_engine(config.get_main_option('sqlalchemy.url'))",
        ),
        OLD_ENV.format(url="str(current_app.extensions['migrate'].db.engine.url)").replace(
            "engine_from_config(settings, prefix='sqlalchemy.', poolclass=pool.NullPool)",
            "current_app.extensions['migrate'].db.engine",
        ),
        OLD_ENV.format(url="str(current_app.extensions['migrate'].db.engine.url)").replace(
            "engine_from_config(settings, prefix='sqlalchemy.', poolclass=pool.NullPool)",
            "current_app.extensions['migrate'].db.get_engine()",
        ),
    ],
    ids=["the first", "several databases", "create_engine", "the app's", "get_engine"],
)
def test_env_py_files_of_other_years(host: Foreign, text: str) -> None:
    (host.migrations / "env.py").write_text(text)
    host.ok("db-migrate-data", "self", "--yes", "--dry-run")
    host.ok("db-migrate-data", "self", "--yes")
    assert host.rows() == KEPT
    assert "Drift:       none" in host.ok("db-status").stdout
    host.ok("db-rollback", "--yes")


# Models that are not all there at once


def test_tables_that_are_made_when_models_are_configured(tmp_path: Path) -> None:
    """As extensions do that keep versions of rows."""

    def models(db: SQLAlchemy) -> None:
        class Note(db.Model):
            id = sa.Column(sa.Integer, primary_key=True)

        def version(*_: object) -> None:
            if "note_version" not in db.metadata.tables:
                sa.Table("note_version", db.metadata, sa.Column("id", sa.Integer, primary_key=True))

        things(db)
        db.kept = Note  # a registry holds its models weakly
        sa.event.listen(Note.__mapper__, "mapper_configured", version)

    host = Foreign(tmp_path, models=models)
    host.add("three", "two", "op.create_table('note', sa.Column('id', sa.Integer, primary_key=True))")
    made = host.ok("db-init", "--yes")
    assert "table note_version of the models is not in head" in made.stderr
    assert host.rows("note_version") == []
    host.add("four", "three", "op.create_table('note_version', sa.Column('id', sa.Integer, primary_key=True))")
    host.ok("db-init", "--yes")
    assert host.rows("alembic_version") == [("four",)]
    assert host.rows("note_version") == []
    assert "Drift:       none" in host.ok("db-status").stdout


def test_a_table_between_models_with_a_metadata_of_its_own(tmp_path: Path) -> None:
    def models(db: SQLAlchemy) -> None:
        things(db)
        db.between = sa.Table("links", sa.MetaData(), *(sa.Column(name, sa.Integer) for name in ("a", "b")))

        class Note(db.Model):
            id = sa.Column(sa.Integer, primary_key=True)
            others = sa.orm.relationship(
                "Note",
                secondary=db.between,
                primaryjoin=lambda: Note.id == sa.orm.foreign(db.between.c.a),
                secondaryjoin=lambda: Note.id == sa.orm.foreign(db.between.c.b),
            )

        db.kept = Note

    host = Foreign(tmp_path, models=models)
    host.add("three", "two", "op.create_table('note', sa.Column('id', sa.Integer, primary_key=True))")
    columns = "sa.Column('a', sa.Integer), sa.Column('b', sa.Integer)"
    host.add("four", "three", f"op.create_table('links', {columns})")
    host.change_env("target_db.metadatas[None]", "[target_db.metadatas[None], target_db.between.metadata]")
    host.ok("db-init", "--yes")
    assert host.rows("links") == []
    assert host.rows("alembic_version") == [("four",)]


def test_a_table_of_head_that_a_hook_hides_is_not_left_out_of_a_database_at_head(tmp_path: Path) -> None:
    host = Foreign(tmp_path)
    host.add("three", "two", "op.create_table('legacy', sa.Column('id', sa.Integer, primary_key=True))")
    host.alembic["include_object"] = lambda _item, name, _kind, _reflected, _to: name != "legacy"
    made = host.ok("db-init", "--yes")
    assert "table legacy of head is in no model" in made.stdout + made.stderr
    assert (host.rows("legacy"), host.rows("alembic_version")) == ([], [("three",)])


def test_models_with_a_column_that_no_revision_has_are_what_is_made(tmp_path: Path) -> None:
    def models(db: SQLAlchemy) -> None:
        things(db)
        sa.Table("new", db.metadata, sa.Column("id", sa.Integer))

    host = Foreign(tmp_path, models=models)
    made = host.ok("db-init", "--yes")
    assert "table new of the models is not in head" in made.stderr
    assert "does not start" in made.stderr
    assert host.rows("new") == []
    with pytest.raises(sqlite3.OperationalError):
        host.rows("alembic_version")


def test_two_that_want_one_name_are_both_named(tmp_path: Path) -> None:
    def models(db: SQLAlchemy) -> None:
        things(db)
        for name in ("left", "right"):
            sa.Table(name, db.metadata, sa.Column("id", sa.Integer), sa.Index("ix_both", "id"))

    host = Foreign(tmp_path, models=models)
    host.at("two")
    refused = host.run("db-init", "--yes")
    assert refused.status == 22
    assert "ix_both is the name of an index of the table left and of an index of the table right" in refused.stderr
    assert host.rows() == [(1, "kept", None)]


def test_models_that_contradict_each_other(tmp_path: Path) -> None:
    def models(db: SQLAlchemy) -> None:
        things(db)

        class Note(db.Model):
            id = sa.Column(sa.Integer, primary_key=True)
            others = sa.orm.relationship("Nobody")

        db.kept = Note

    host = Foreign(tmp_path, models=models)
    host.at("two")
    refused = host.run("db-init", "--yes")
    assert refused.status == 2
    assert "The models cannot be configured" in refused.stderr
    assert "cannot be configured" in host.ok("db-status").stdout
    host.ok("db-backup")
    assert host.rows() == [(1, "kept", None)]


def test_a_further_database_without_a_model_is_left_alone(tmp_path: Path) -> None:
    host = Foreign(tmp_path)
    host.at("one")
    archive = tmp_path / "archive.db"
    with sqlite3.connect(archive) as connection:
        connection.execute("CREATE TABLE precious (x)")
    connection.close()
    before = archive.read_bytes()
    host.config["SQLALCHEMY_BINDS"] = {"archive": f"sqlite:///{archive}"}
    host.ok("db-migrate-data", "self", "--yes")
    host.ok("db-rollback", "--yes")
    host.ok("db-init", "--yes")
    assert archive.read_bytes() == before


def test_where_nothing_but_an_index_differs_the_revisions_make_the_tables(tmp_path: Path) -> None:
    def models(db: SQLAlchemy) -> None:
        things(db)
        sa.Index("ix_name", db.metadata.tables["thing"].c.name)

    host = Foreign(tmp_path, models=models)
    for _ in range(2):
        made = host.ok("db-init", "--yes")
        assert "index ix_name of the table thing of the models is not in head" in made.stdout
        assert "flask db-init --schema models" in made.stdout
        assert host.rows("alembic_version") == [("two",)]
    assert "ix_name" in host.ok("db-status", "-v").stdout.split("Drift:")[1].split("Last run:")[0]
    host.ok("db-init", "--yes", "--schema", "models")
    with pytest.raises(sqlite3.OperationalError):
        host.rows("alembic_version")


def test_models_whose_history_starts_in_the_middle(host: Foreign) -> None:
    """An app that makes its tables from the models has revisions for databases that are there, and no first one."""
    host.add("one", None, f"op.execute('UPDATE absent SET x = 1'); {CREATE}")
    made = host.ok("db-init", "--yes")
    assert "No revision is stamped" in made.stderr
    assert "no such table: absent" in made.stderr
    assert "flask db stamp head" in made.stderr
    assert host.rows() == []
    with pytest.raises(sqlite3.OperationalError):
        host.rows("alembic_version")
