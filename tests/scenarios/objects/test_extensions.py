"""PostgreSQL: an extension that a revision makes belongs to the whole database, and goes where the run is refused."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from .conftest import HostApp

Make = Callable[..., HostApp]
TABLE = "op.execute('CREATE TABLE person (id integer PRIMARY KEY, name text)')"
EXTENSION = "op.execute('CREATE EXTENSION {}citext')"
COLUMN = "op.execute('ALTER TABLE person ADD mail citext')"
LOSS = "op.execute('ALTER TABLE person DROP COLUMN name')"
KINDS = ("", "IF NOT EXISTS ")
IN_DATABASE = "SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
SELF = ("db-migrate-data", "self", "--yes", "--allow-production")


@pytest.fixture
def host(make_host: Make) -> HostApp:
    made = make_host("postgresql")
    made.release(TABLE)
    made.upgrade()
    made.execute("INSERT INTO person VALUES (1, 'Ada')")
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", [COLUMN, "pass"])
def test_it_goes_where_the_run_is_refused_and_stays_where_not(host: HostApp, kind: str, column: str) -> None:
    """So that the same revision can make it in the next run."""
    for line in (EXTENSION.format(kind), column, LOSS):
        host.release(line)
    for refused in (host.run(*SELF), host.run(*SELF)):
        assert refused.status == 23, refused.stderr
        assert "The live database is unchanged." in refused.stderr
        assert host.query(IN_DATABASE) == []
    assert host.run(*SELF, "--rehearse").status == 23
    accepted = (*SELF, "--accept-loss", "person.name")
    assert host.run(*accepted, "--rehearse").status == 0
    assert host.query(IN_DATABASE) == []
    done = host.run(*accepted)
    assert done.status == 0, done.stderr
    assert host.query(IN_DATABASE) == [("citext",)]
    assert host.query("SELECT position('made' IN obj_description('public'::regnamespace))") == [(0,)]
    # What is made of copies of it, and of what it left, drops nothing.
    for arguments in (("db-verify",), ("db-backup",), ("db-backup", "--check")):
        assert host.run(*arguments).status == 0
        assert host.query(IN_DATABASE) == [("citext",)]
    host.execute("INSERT INTO person VALUES (2)")
    assert host.run("db-rollback", "--yes", "--allow-production").status == 0
    assert host.query("SELECT name FROM person") == [("Ada",)]
    # It is there still, as what is live might need it; the same revision runs all the same.
    assert host.run(*accepted).status == 0
    assert host.query(IN_DATABASE) == [("citext",)]


def test_one_that_was_there_stays(host: HostApp) -> None:
    host.execute("CREATE SCHEMA extensions", "CREATE EXTENSION citext SCHEMA extensions")
    for line in (EXTENSION.format("IF NOT EXISTS "), LOSS):
        host.release(line)
    assert host.run(*SELF).status == 23
    assert host.query(IN_DATABASE) == [("citext",)]


def test_of_a_run_that_was_killed_the_next_one_takes_it_back(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in (EXTENSION.format(""), LOSS):
        host.release(line)
    host.config["FERRY_HOOKS"] = f"{__name__}:kill_behind"
    monkeypatch.setenv("TEST_KILLS", "1")
    child = os.fork()
    if child == 0:
        try:
            host.run(*SELF)
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert host.query(IN_DATABASE) == [("citext",)]
    monkeypatch.delenv("TEST_KILLS")
    again = host.run(*SELF)
    assert again.status == 23, again.stderr
    assert host.query(IN_DATABASE) == []


def kill_behind(when: str, step: str, _about: object) -> None:
    if os.environ.get("TEST_KILLS") and (when, step) == ("after", "upgrade"):
        os.kill(os.getpid(), signal.SIGKILL)


def test_one_that_somebody_uses_meanwhile_stays(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in (EXTENSION.format(""), LOSS):
        host.release(line)
    monkeypatch.setattr(f"{__name__}.using", [host])
    host.config["FERRY_HOOKS"] = f"{__name__}:use"
    assert host.run(*SELF).status == 23
    assert host.query(IN_DATABASE) == [("citext",)]
    assert host.query("SELECT mail FROM other.letter") == []


using: list[HostApp] = []
"""The app whose database somebody uses the extension in."""


def use(when: str, step: str, _about: object) -> None:
    if (when, step) == ("after", "upgrade"):
        using[0].execute("CREATE SCHEMA IF NOT EXISTS other", "CREATE TABLE IF NOT EXISTS other.letter (mail citext)")


def test_a_value_that_reads_like_a_statement_stays_as_it_is(host: HostApp) -> None:
    """Of texts only the beginning is looked at."""
    words = ["CREATE EXTENSION hstore", "CREATE INDEX CONCURRENTLY i ON t (x)"]
    values = ", ".join(f"({number}, '{text}')" for number, text in enumerate(words, 2))
    host.release(f'op.execute("INSERT INTO person VALUES {values}")')
    done = host.run(*SELF)
    assert done.status == 0, done.stderr
    assert host.query("SELECT name FROM person WHERE id > 1 ORDER BY id") == [(text,) for text in words]


def test_a_dry_run_leaves_no_extension(host: HostApp) -> None:
    host.release("op.execute('CREATE EXTENSION citext')")
    done = host.run("db-migrate-data", "self", "--dry-run")
    assert done.status == 0, done.stderr
    assert host.query(IN_DATABASE) == []
    assert host.run(*SELF).status == 0
    assert host.query(IN_DATABASE) == [("citext",)]


@pytest.mark.parametrize("again", [False, True])
def test_an_extension_of_the_live_schema_is_not_dropped_before_anything_is_proved(host: HostApp, again: bool) -> None:
    host.execute("CREATE EXTENSION pgcrypto")
    host.release("op.execute('DROP EXTENSION pgcrypto')")
    if again:
        host.release("op.execute('CREATE EXTENSION pgcrypto')")
    host.release(LOSS)
    done = host.run(*SELF)
    assert done.status == 22, done.stderr
    assert "drops the extension pgcrypto, which is the live schema's as well; do so by hand after" in done.stderr
    assert "The live database is unchanged." in done.stderr
    assert host.query(IN_DATABASE) == [("pgcrypto",)]


def test_an_extension_of_the_live_schema_is_not_updated_before_anything_is_proved(host: HostApp) -> None:
    host.execute("CREATE EXTENSION citext VERSION '1.4'")
    version = "SELECT extversion <> '1.4' FROM pg_extension WHERE extname = 'citext'"
    host.release("op.execute('ALTER EXTENSION citext UPDATE')")
    done = host.run(*SELF)
    assert done.status == 22, done.stderr
    assert "updates the extension citext, which is the live schema's as well; do so by hand before" in done.stderr
    assert host.query(version) == [(False,)]
    host.execute("ALTER EXTENSION citext UPDATE")
    assert host.run(*SELF).status == 0
    assert host.query(version) == [(True,)]
