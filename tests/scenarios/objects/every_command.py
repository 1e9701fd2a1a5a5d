"""Things that only one kind of server has, and the commands that each of them has to live through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.scenarios.objects.conftest import HostApp
from tests.scenarios.objects.test_upgrade import sql

LATER = sql("CREATE TABLE later (id INT PRIMARY KEY)")
"""A revision that leaves every other table alone."""


@dataclass(frozen=True)
class Kind:
    """Something that one kind of server has.

    :ivar tables: the first revision.
    :ivar rows: what the app writes, and what an administrator does to its tables.
    :ivar touch: a later revision that changes each table.
    :ivar spoil: what a restore has to undo.
    :ivar shown: queries whose answers are to stay the same through all.
    :ivar options: of the server.
    :ivar before: what a database needs first.
    """

    tables: tuple[str, ...]
    rows: tuple[str, ...]
    touch: tuple[str, ...]
    spoil: tuple[str, ...]
    shown: tuple[str, ...]
    options: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


def must(host: HostApp, *arguments: str) -> str:
    """Run a command that has to succeed; all that it wrote."""
    ended = host.run(*arguments)
    assert ended.status == 0, ended.stderr + ended.stdout
    return ended.stdout + ended.stderr


def migrate_from(host: HostApp, source: HostApp) -> str:
    """Migrate; all that it wrote."""
    host.config["FERRY_SOURCE"] = source.url
    return must(host, "db-migrate-data", "--yes", "-v")


def look(host: HostApp, kind: Kind) -> list[list[str]]:
    """What is shown of it, without what a later revision added."""
    answers = [[str(row) for row in host.query(query.replace("%", "%%"))] for query in kind.shown]
    assert all(answers)
    return [[row for row in answer if "'late'" not in row] for answer in answers]


def fill(kind: Kind, host: HostApp, *others: HostApp) -> None:
    """Tables and rows in the first app; the first revision alone in the others."""
    for app in (host, *others):
        app.release(sql(*kind.tables))
    host.upgrade()
    host.execute(*kind.rows)


def live_through(host: HostApp, kind: Kind) -> list[list[str]]:
    """Each command that replaces a database; what was shown before and after all of them."""
    wanted = look(host, kind)
    host.release(LATER)
    must(host, "db-migrate-data", "self", "--yes")
    assert look(host, kind) == wanted, "self"
    must(host, "db-verify")
    host.release(sql(*kind.touch))
    must(host, "db-migrate-data", "self", "--yes")
    assert look(host, kind) == wanted, "in an upgrade"
    must(host, "db-rollback", "--yes")
    assert look(host, kind) == wanted, "rollback"
    must(host, "db-backup")
    host.execute(*kind.spoil)
    must(host, "db-restore", "--yes")
    assert look(host, kind) == wanted, "backup and restore"
    return wanted


def assert_same(host: HostApp, other: HostApp, queries: Iterable[str]) -> None:
    """Two databases answer alike."""
    for query in queries:
        assert other.query(query) == host.query(query), query
