"""A filled database that no revision made: it gets its first one, and is known by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from tests.support.pages import take_lines
from tests.support.places import Server, new_name

from .foreign import Foreign


@pytest.fixture
def grown(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Foreign]:
    """An app whose database ``create_all()`` made, with a row."""

    def make(server: str) -> Foreign:
        host = Foreign(tmp_path)
        for file in (host.migrations / "versions").glob("*.py"):
            file.unlink()
        if server != "sqlite":
            started: Server = request.getfixturevalue(server)
            url = started.url(new_name())
            request.getfixturevalue(server).execute(f"CREATE DATABASE {url.database}")
            host.config["SQLALCHEMY_DATABASE_URI"] = url.render_as_string(hide_password=False)
        with host.app().app_context():
            host.db.create_all()
            host.db.session.execute(sa.text("INSERT INTO thing (id, name) VALUES (1, 'kept')"))
            host.db.session.commit()
            host.db.engine.dispose()
        return host

    return make


def rows(host: Foreign, query: str) -> list[tuple[object, ...]]:
    url = host.config.get("SQLALCHEMY_DATABASE_URI", f"sqlite:///{host.live}")
    with sa.create_engine(url, poolclass=NullPool).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_each_hint_leads_on_to_a_database_at_a_revision(grown: Callable[[str], Foreign], server: str) -> None:
    host = grown(server)
    for command in (("db-migrate-data", "self", "--yes"), ("db-init", "--yes")):
        refused = host.run(*command)
        assert refused.status == 2
        assert "flask db-adopt" in refused.stderr
    assert "flask db-migrate-data self" in host.ok("db-adopt", "-m", "as it was").stdout
    [file] = (host.migrations / "versions").glob("*.py")
    assert "as_it_was" in file.name
    assert rows(host, "SELECT id, name FROM thing") == [(1, "kept")]
    host.ok("db-migrate-data", "self", "--yes")
    assert rows(host, "SELECT id, name FROM thing") == [(1, "kept")]
    assert len(rows(host, "SELECT version_num FROM alembic_version")) == 1
    host.ok("db-status", "--check")
    again = host.run("db-adopt")
    assert again.status == 2
    assert "There are revisions" in again.stderr


@pytest.mark.executes("docs/guide.md", "flask db-adopt")
def test_the_lines_of_the_guide(grown: Callable[[str], Foreign]) -> None:
    host = grown("sqlite")
    for line in take_lines("docs/guide.md", "flask db-adopt"):
        host.ok(*line.split()[1:])
    assert rows(host, "SELECT id, name FROM thing") == [(1, "kept")]
    host.ok("db-status", "--check")


def test_a_database_that_is_not_what_the_models_say_is_not_taken_for_it(grown: Callable[[str], Foreign]) -> None:
    host = grown("sqlite")
    host.execute("ALTER TABLE thing DROP COLUMN colour")
    host.ok("db-adopt")
    refused = host.run("db-migrate-data", "self", "--yes")
    assert refused.status == 22
    assert "thing.colour" in refused.stderr
    assert host.rows() == [(1, "kept")]


def test_without_a_database_it_is_not_needed(grown: Callable[[str], Foreign]) -> None:
    host = grown("sqlite")
    host.live.unlink()
    refused = host.run("db-adopt")
    assert refused.status == 2
    assert "flask db migrate -m first" in refused.stderr
    assert not host.live.exists()


def test_without_models_there_is_nothing_to_write(grown: Callable[[str], Foreign]) -> None:
    host = grown("sqlite")
    host.models = lambda _db: None
    refused = host.run("db-adopt")
    assert refused.status == 2
    assert "knows no table" in refused.stderr
    assert list((host.migrations / "versions").glob("*.py")) == []
