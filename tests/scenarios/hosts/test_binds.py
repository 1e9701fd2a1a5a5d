"""Apps with several databases: a run carries the one that is chosen, all others stay as they are and are named."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from app.commands.hints import Typed, complete, name_bind
from tests.support.places import new_name
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.transfer.hosts import revision

from .foreign import ADD, CREATE, Foreign, things
from .test_accepted import SEVERAL

TEMPLATE = Path(flask_migrate.__file__).parent / "templates" / "flask-multidb" / "env.py"
OLDER = SEVERAL.replace("run_migrations()", "run_migrations(engine_name=name)").replace(
    "target_metadata=current_app.extensions['migrate'].db.metadata",
    "target_metadata=current_app.extensions['migrate'].db.metadatas[name or None]",
)
VISIT = "op.create_table('visit', sa.Column('id', sa.Integer, primary_key=True), sa.Column('page', sa.String(40)))"
SECONDS = "op.add_column('visit', sa.Column('seconds', sa.Integer))"


def visits(db: SQLAlchemy) -> None:
    things(db)
    columns = [sa.Column("page", sa.String(40)), sa.Column("seconds", sa.Integer)]
    db.Table("visit", sa.Column("id", sa.Integer, primary_key=True), *columns, bind_key="stats")


def of_several(host: Foreign, url: sa.URL | str, env: str = "") -> Foreign:
    """The host with a further database, both at the first of two revisions and with a row."""
    host.models = visits
    host.config["SQLALCHEMY_BINDS"] = {"stats": url}
    (host.migrations / "env.py").write_text(env or TEMPLATE.read_text())
    for name, down, first, second in (("one", None, CREATE, VISIT), ("two", "one", ADD, SECONDS)):
        text = "dict(_=upgrade_, _stats=upgrade_stats)['_' + engine_name]()"
        revision(
            host.migrations, name, down, text, f"def upgrade_():\n    {first}\n\n\ndef upgrade_stats():\n    {second}"
        )
        file = host.migrations / "versions" / f"{name}.py"
        file.write_text(file.read_text().replace("def upgrade():", "def upgrade(engine_name):"))
    app = host.app()
    with app.app_context():
        flask_migrate.upgrade(directory=str(host.migrations), revision="one")
        for key, statement in (
            (None, "INSERT INTO thing VALUES (1, 'kept')"),
            ("stats", "INSERT INTO visit VALUES (7, '/')"),
        ):
            with host.db.engines[key].begin() as connection:
                connection.exec_driver_sql(statement)
    host._closed(app)
    return host


def look(host: Foreign) -> dict[str, list[tuple[object, ...]]]:
    """The rows and revisions of both databases."""
    app, seen = host.app(), {}
    with app.app_context():
        for key, table in ((None, "thing"), ("stats", "visit")):
            with host.db.engines[key].connect() as connection:
                for name in (table, "alembic_version"):
                    seen[f"{key}.{name}"] = [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")]
    host._closed(app)
    return seen


@pytest.mark.parametrize("kind", ["files", "servers", "files, of an older template"])
def test_one_of_them(tmp_path: Path, mariadb: MariaDB, postgresql: PostgreSQL, kind: str) -> None:
    """Upgraded, looked at, proved, undone, made anew, put back; the other one is as it was after each."""
    host, url = Foreign(tmp_path), f"sqlite:///{tmp_path / 'stats.db'}"
    if kind == "servers":
        names = new_name(), new_name()
        mariadb.execute(f"CREATE DATABASE {names[0]}")
        postgresql.execute(f"CREATE DATABASE {names[1]}")
        host.config["SQLALCHEMY_DATABASE_URI"], url = mariadb.url(names[0]), postgresql.url(names[1])
    of_several(host, url, OLDER if "older" in kind else "")
    before = look(host)
    assert before["stats.visit"] == [(7, "/")]
    host.assert_refused("names further databases (stats)", "--bind default, --bind stats", commands=("db-init",))

    done = host.ok("db-migrate-data", "self", "--bind", "stats", "--yes")
    assert "this is 'stats'; left alone: default" in done.stdout
    assert "flask db-rollback --bind stats" in done.stdout
    after = before | {"stats.visit": [(7, "/", None)], "stats.alembic_version": [("two",)]}
    assert look(host) == after
    assert "the bind stats" in host.ok("db-status", "--bind", "stats").stdout
    host.ok("db-status", "--bind", "stats", "--check")
    assert "is at one, head is two" in host.run("db-status", "--bind", "default", "--check").stdout
    host.ok("db-verify", "--bind=stats")

    host.ok("db-migrate-data", "self", "--bind", "default", "--yes")
    both = after | {"None.thing": [(1, "kept", None)], "None.alembic_version": [("two",)]}
    assert look(host) == both
    host.ok("db-rollback", "--bind", "stats", "--yes")
    assert look(host) == both | {name: before[name] for name in before if name.startswith("stats")}
    host.ok("db-init", "--bind", "stats", "--yes")
    assert look(host) == both | {"stats.visit": []}
    host.ok("db-restore", "--bind", "stats", "--yes")
    host.ok("db-rollback", "--bind", "default", "--yes")
    assert look(host) == before


def test_each_has_a_snapshot_of_its_own(tmp_path: Path) -> None:
    """So that what was taken for one is never loaded into another one of the same tables."""
    host = of_several(Foreign(tmp_path), f"sqlite:///{tmp_path / 'stats.db'}")
    with sqlite3.connect(tmp_path / "stats.db") as live, sqlite3.connect(tmp_path / "old.db") as old:
        live.backup(old)
    live.close()
    old.execute("INSERT INTO visit VALUES (8, '/more')")
    old.commit()
    old.close()
    host.config["FERRY_BIND"] = "stats"
    host.ok("db-migrate-data", str(tmp_path / "old.db"), "--yes", "--allow-production")
    assert look(host)["stats.visit"] == [(7, "/", None), (8, "/more", None)]
    assert [path.name for path in tmp_path.glob("*data.json")] == ["stats-data.json"]
    assert look(host)["None.thing"] == [(1, "kept")]


def seed_both() -> None:
    current.db.session.execute(sa.text("INSERT INTO thing (id) VALUES (1)"), bind_arguments={"bind": current.db.engine})


current: Foreign


@pytest.mark.parametrize(
    "reaches",
    ["for a seed", "of a revision", "two names for one", "a plain env.py", "no such bind", "no first revision"],
)
def test_what_is_refused(tmp_path: Path, reaches: str) -> None:
    global current
    current = host = of_several(Foreign(tmp_path), f"sqlite:///{tmp_path / 'stats.db'}")
    before = look(host)
    arguments = ["db-init", "--bind", "stats", "--yes"]
    if reaches == "for a seed":
        host.config["FERRY_SEED"] = f"{__name__}:seed_both"
        status, words = 1, "carries another database of the app than 'default'"
    elif reaches == "of a revision":
        file = host.migrations / "versions" / "two.py"
        others = "__import__('flask').current_app.extensions['sqlalchemy'].engine.connect().exec_driver_sql('SELECT 1')"
        file.write_text(file.read_text().replace(SECONDS, f"{others}; {SECONDS}"))
        arguments = ["db-migrate-data", "self", "--bind", "stats", "--yes"]
        status, words = 22, "carries another database of the app than 'default'"
    elif reaches == "two names for one":
        host.config["SQLALCHEMY_BINDS"] |= {"again": f"sqlite:///{tmp_path / 'x' / '..' / 'stats.db'}"}
        (tmp_path / "x").mkdir()
        status, words = 20, "again, stats of the app are one and the same"
    elif reaches == "a plain env.py":
        (host.migrations / "env.py").write_text((TEMPLATE.parents[1] / "flask" / "env.py").read_text())
        status, words = 2, "runs no revision on the database 'stats'"
    elif reaches == "no such bind":
        arguments[2] = "statistics"
        status, words = 2, "the app's databases are: default, stats"
    else:
        arguments = ["db-adopt", "--bind", "stats"]
        status, words = 2, "would leave the others out of it"
    refused = host.run(*arguments)
    assert (refused.status, words in refused.stderr) == (status, True), refused.stderr
    assert len(refused.stderr.strip().splitlines()) > 1
    assert look(host) == before


@pytest.mark.parametrize("option", [("--bind", "stats"), ("--bind=stats",)])
def test_hints_are_for_the_same_database(option: tuple[str, ...]) -> None:
    typed = Typed("flask", "db-migrate-data", ("self", *option, "-y"))
    words = " ".join(option)
    assert complete("Run: flask db-rollback", typed) == f"Run: flask db-rollback {words} --yes"
    assert name_bind("Now: flask db-rollback", typed) == f"Now: flask db-rollback {words}"
    assert name_bind("Now: flask db-rollback", Typed("flask", "db-init")) == "Now: flask db-rollback"
    named = f"flask db-rollback {words}"
    assert (
        name_bind(f"Now: {named}", typed) == complete(f"Now: {named}", Typed("flask", "x", option)) == f"Now: {named}"
    )


def test_commands_in_reports_are_for_the_same_database(tmp_path: Path) -> None:
    host = of_several(Foreign(tmp_path), f"sqlite:///{tmp_path / 'stats.db'}")
    page = tmp_path / "page.html"
    status = host.ok("db-status", "--bind", "stats", "--json", "--report", str(page)).events[-1]["target"]
    assert status["next_command"] == "flask db-migrate-data --bind stats self"
    assert "flask db-migrate-data --bind stats self</pre>" in page.read_text()


@pytest.mark.parametrize("option", [("--bind", "all"), ("--bind=all",), ()])
def test_hints_of_one_of_several_are_for_it_alone_where_they_do_not_help_all(option: tuple[str, ...]) -> None:
    typed = Typed("flask", "db-migrate-data", ("self", *option, "-y")).narrowed_to("stats")
    same = " ".join(["flask db-migrate-data self", *option, "-y"])
    assert complete("Run: flask db-migrate-data --accept-loss visit.page", typed) == (
        f"Run: {same} --accept-loss visit.page"
    )
    assert complete("Run: flask db-migrate-data --rerun", typed) == (
        "Run: flask db-migrate-data self -y --bind stats --rerun"
    )
    assert complete("Run: flask db-restore", typed) == "Run: flask db-restore --bind stats --yes"
    assert complete("Then run the command again.", typed) == f"Then run the command again.\nAgain: {same}"
