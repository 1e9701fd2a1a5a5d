"""Alembic on staging: build, upgrade, recognise, declare; the host's engine and logging as they were."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from app.dialects.sqlite.names import url_of
from app.errors import DoesNotFit, FerryError, Misconfigured, Protected
from app.transfer.schema.alembic import Schema, data_tables, revision_of
from app.transfer.schema.host import Host
from app.transfer.schema.host_checks import refuse_unsupported
from tests.migrations.database import REVISIONS
from tests.transfer.hosts import history, made_host, reference_host, revision

CREATE = "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True), sa.Column('x', sa.Integer))"
ADD = "op.add_column('t', sa.Column('y', sa.Integer))"


class Made:
    """A host with a history of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.migrations = history(directory / "migrations")
        self.host, self.db = made_host(directory)

    def add(self, name: str, down: str | None, upgrade: str = "pass", declared: str = "") -> None:
        revision(self.migrations, name, down, upgrade, declared)

    @property
    def schema(self) -> Schema:
        return Schema(self.host)

    def staging(self) -> sa.URL:
        host = self.host
        host.dialect.open_control(host.dialect.control_area(host.url))
        url = host.dialect.staging_url(host.url, "s")
        host.dialect.prepare_staging(url, host.url)
        return url

    def columns(self, url: sa.URL) -> dict[str, tuple[str, ...]]:
        with self.host.dialect.reader(url) as reader:
            return {name: table.column_names for name, table in data_tables(reader.tables()).items()}

    def revision(self, url: sa.URL) -> str | None:
        with self.host.dialect.reader(url) as reader:
            return revision_of(reader)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    found = Made(tmp_path)
    # As a command does.
    with found.host.app_context():
        yield found


@pytest.fixture
def two(made: Made) -> Made:
    """Two revisions."""
    made.add("one", None, CREATE)
    made.add("two", "one", ADD)
    return made


# The history


def test_head_and_lineage(two: Made) -> None:
    assert two.schema.head() == "two"
    assert two.schema.lineage() == ["one", "two"]


def test_no_revision_at_all(made: Made) -> None:
    with pytest.raises(Misconfigured, match="no Alembic revision") as caught:
        made.schema.head()
    assert "flask db migrate" in str(caught.value.hint)


def test_two_heads(two: Made) -> None:
    two.add("other", "one")
    with pytest.raises(Misconfigured, match="2 heads: other, two") as caught:
        two.schema.head()
    assert "flask db merge" in str(caught.value.hint)


@pytest.mark.filterwarnings("ignore:Revision one:UserWarning")
def test_a_revision_that_is_missing(two: Made) -> None:
    (two.migrations / "versions" / "one.py").unlink()
    with pytest.raises(Misconfigured, match="broken"):
        two.schema.head()


def test_a_revision_that_this_code_does_not_have(two: Made) -> None:
    two.schema.require("one", "the source")
    with pytest.raises(DoesNotFit, match="the source is at revision three"):
        two.schema.require("three", "the source")


# Building


def test_staging_is_built_step_by_step_and_live_is_left_alone(two: Made) -> None:
    staging = two.staging()
    two.schema.build(staging, "one")
    assert (two.columns(staging), two.revision(staging)) == ({"t": ("id", "x")}, "one")
    two.schema.build(staging, "two")
    assert (two.columns(staging), two.revision(staging)) == ({"t": ("id", "x", "y")}, "two")
    assert not two.host.dialect.exists(two.host.url)


def live_engine(made: Made) -> sa.Engine:
    with made.host.app_context():
        return made.db.engine


def test_the_engine_of_the_host_is_put_back(two: Made) -> None:
    staging = two.staging()
    before = live_engine(two)
    two.schema.build(staging, "two")
    assert live_engine(two) is before
    two.add("three", "two", "raise RuntimeError('no')")
    with pytest.raises(FerryError):
        two.schema.build(staging, "three")
    assert live_engine(two) is before


def test_an_upgrade_that_fails_is_explained(two: Made) -> None:
    two.add("three", "two", "op.execute('INSERT INTO nowhere VALUES (1)')")
    with pytest.raises(DoesNotFit, match=r"Revision three \(line \d+\) failed: no such table: nowhere") as caught:
        two.schema.build(two.staging(), "three")
    assert caught.value.details == ["statement: INSERT INTO nowhere VALUES (1)"]


def test_a_revision_that_raises_or_exits(two: Made) -> None:
    two.add("three", "two", "raise ValueError('odd rows: 7')")
    with pytest.raises(DoesNotFit, match=r"Revision three .* odd rows: 7"):
        two.schema.build(two.staging(), "three")
    two.add("three", "two", "raise SystemExit(4)")
    with pytest.raises(FerryError, match="three"):
        two.schema.build(two.staging(), "three")


def test_an_env_py_that_works_on_the_live_database_is_found(two: Made) -> None:
    staging = two.staging()
    with live_engine(two).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (x)")
    env = two.migrations / "env.py"
    text = env.read_text()
    url = two.host.url.render_as_string()
    env.write_text(
        text.replace(
            "connectable = get_engine()", f"import sqlalchemy; connectable = sqlalchemy.create_engine({url!r})"
        )
    )
    assert env.read_text() != text
    with pytest.raises(Misconfigured, match="engine of its own"):
        two.schema.build(staging, "two")
    with two.host.dialect.reader(two.host.url) as reader:
        assert set(reader.tables()) == {"mine"}


def test_stamp_and_models(two: Made) -> None:
    staging = two.staging()
    sa.Table("from_models", two.db.metadata, sa.Column("id", sa.Integer, primary_key=True))
    two.schema.create_models(staging)
    two.schema.stamp(staging, "two")
    assert (two.columns(staging), two.revision(staging)) == ({"from_models": ("id",)}, "two")


def test_what_the_models_have_and_head_has_not(two: Made) -> None:
    staging = two.staging()
    two.schema.build(staging, "two")
    sa.Table(
        "t",
        two.db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("x", sa.Integer),
        sa.Column("y", sa.Integer),
    )
    assert two.schema.differences_to_models(staging) == []
    sa.Table("more", two.db.metadata, sa.Column("id", sa.Integer, primary_key=True))
    [drift] = two.schema.differences_to_models(staging)
    assert "more" in drift


def test_a_seed_that_cannot_be_imported(two: Made) -> None:
    for name in ("nothing:seed", "json:nothing", "json", ""):
        with pytest.raises(Misconfigured, match="FERRY_SEED"):
            two.schema.call(two.staging(), name, "FERRY_SEED")


# Logging


@pytest.mark.parametrize("verbose", [False, True])
def test_logging_is_as_it_was(two: Made, verbose: bool) -> None:
    """Flask-Migrate's own alembic.ini disables every logger there is and gives the root another handler."""
    mine, root = logging.getLogger(f"made.by.the.host.{verbose}"), logging.getLogger()
    mine.setLevel(logging.DEBUG)
    handler = logging.NullHandler()
    mine.addHandler(handler)
    alembic = logging.getLogger("alembic")
    kept = (root.level, root.handlers[:], alembic.level, alembic.handlers[:])
    Schema(two.host, verbose=verbose).build(two.staging(), "two")
    assert (mine.level, mine.handlers, mine.disabled, mine.propagate) == (logging.DEBUG, [handler], False, True)
    assert (root.level, root.handlers, alembic.level, alembic.handlers) == kept
    assert root.manager.disable == logging.NOTSET
    assert mine.isEnabledFor(logging.DEBUG)


# Declarations


def test_what_revisions_declare_from_one_on(two: Made) -> None:
    two.add("three", "two", declared="ferry_moves = {'t': 'u', 'a.b': ('c', 'd')}")
    two.add("four", "three", declared="ferry_losses = {'u.x': 'unused'}")
    said = two.schema.declarations("two")
    assert said.moves == ({"t": ("u",), "a.b": ("c", "d")}, {})
    assert said.losses == {"u.x": "unused (revision four)"}
    assert two.schema.declarations("four").moves == ()


# Several databases


def test_further_databases_are_refused(tmp_path: Path) -> None:
    from flask import Flask
    from flask_migrate import Migrate

    from app.commands.session import current_host

    history(tmp_path / "migrations")
    app = Flask("made")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'live.db'}"
    app.config["SQLALCHEMY_BINDS"] = {"logs": f"sqlite:///{tmp_path / 'logs.db'}"}
    db = SQLAlchemy(app)
    Migrate(app, db, directory=str(tmp_path / "migrations"))
    with app.app_context():
        host = current_host()
    with pytest.raises(Protected, match="logs"):
        refuse_unsupported(host)


# Recognition


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference app's database at each revision, without alembic_version."""
    directory = tmp_path_factory.mktemp("revisions")
    host = reference_host(directory / "live.db")
    for name in REVISIONS:
        staging = url_of(directory / f"{name}.db")
        host.dialect.prepare_staging(staging, host.url)
        with host.app_context():
            Schema(host).build(staging, name)
        with host.dialect.engine(staging).begin() as connection:
            connection.exec_driver_sql("DROP TABLE alembic_version")
    return directory


def shape(host: Host, url: sa.URL) -> dict[str, set[str]]:
    with host.dialect.reader(url) as reader:
        return {name: set(table.column_names) for name, table in reader.tables().items()}


@pytest.mark.parametrize("name", REVISIONS)
def test_every_revision_is_recognised(built: Path, name: str) -> None:
    host = reference_host(built / "live.db")
    shapes = {item: shape(host, url_of(built / f"{item}.db")) for item in REVISIONS}
    oldest = next(item for item in REVISIONS if shapes[item] == shapes[name])
    with host.dialect.reader(url_of(built / f"{name}.db")) as reader:
        tables = reader.tables()
    scratch = url_of(built / f"scratch-{name}.db")
    with host.app_context():
        found = Schema(host).recognise(tables, scratch)
    assert found.revision == oldest
    assert (found.missing, found.extra_columns, found.extra_tables) == ((), (), ())
    assert not host.dialect.exists(scratch)


def test_what_a_database_has_besides_or_lacks_is_named(two: Made) -> None:
    live = two.host.url
    two.host.dialect.create(live)
    with two.host.dialect.engine(live).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, y INTEGER, z INTEGER)")
        connection.exec_driver_sql("CREATE TABLE extra (a INTEGER)")
    with two.host.dialect.reader(live) as reader:
        tables = reader.tables()
    two.host.dialect.open_control(two.host.dialect.control_area(live))
    found = two.schema.recognise(tables, two.host.dialect.staging_url(live, "scratch"))
    assert found.revision == "two"
    assert (found.missing, found.extra_columns, found.extra_tables) == (("t.x",), ("t.z",), ("extra",))


def test_of_revisions_that_look_alike_the_oldest_is_recognised(two: Made) -> None:
    two.add("three", "two", "op.execute('UPDATE t SET y = 1')")
    staging = two.staging()
    two.schema.build(staging, "three")
    with two.host.dialect.reader(staging) as reader:
        tables = reader.tables()
    assert two.schema.recognise(tables, two.host.dialect.staging_url(two.host.url, "scratch")).revision == "two"


def test_a_database_at_two_revisions(two: Made) -> None:
    staging = two.staging()
    two.schema.build(staging, "two")
    assert two.revision(staging) == "two"
    with two.host.dialect.engine(staging).begin() as connection:
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('other')")
    with pytest.raises(DoesNotFit, match="several revisions"):
        two.revision(staging)
    with two.host.dialect.engine(staging).begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    assert two.revision(staging) is None
