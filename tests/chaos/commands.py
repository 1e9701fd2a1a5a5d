"""The commands that change a database, as data: each with the state it begins in and what must be live after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from .host import WRITTEN, fill
from .place import Place, connect

SERVERS = ("sqlite", "mariadb", "postgresql")


@dataclass(frozen=True)
class Turn:
    """One command line, again and again.

    :ivar command: what it is called in the table.
    :ivar release: which history is deployed.
    :ivar before: brings the place to where it begins.
    :ivar carries: the writes of others are live after it; else they are in what was live before, or in a file.
    :ivar replaces: it cuts over.
    :ivar repeatable: typed again after it was done, it does no more.
    """

    command: str
    arguments: tuple[str, ...]
    release: str = "now"
    before: Callable[[Place], None] = lambda _place: None
    carries: bool = False
    replaces: bool = True
    repeatable: bool = True


@dataclass(frozen=True)
class Case:
    """Turns that lead back to where the first one begins.

    :ivar commands: what its turns are called.
    """

    name: str
    commands: tuple[str, ...]
    turns: Callable[[Place], list[Turn]]
    begin: Callable[[Place], None]


def run(place: Place, *arguments: str, release: str = "now") -> None:
    """A command that nothing befalls."""
    result = place.run(arguments, release)
    assert result.status == 0, result.stderr


def make_source(place: Place, name: str) -> str:
    """A SQLite file at the first revision, with rows of its own."""
    url = make_url(f"sqlite:///{place.directory / name}.db")
    source = Place("sqlite", place.directory / f"of-{name}", url)
    source.directory.mkdir()
    source.prepare()
    run(source, "db", "upgrade")
    with connect(url) as connection, connection.begin():
        fill(connection, name)
    return str(url.database)


def initialise(place: Place) -> None:
    run(place, "db-init", "--yes", "--schema", "migrations")


def begin_with_backup(place: Place) -> None:
    initialise(place)
    run(place, "db-backup", "--to", str(place.directory / "backup"))


def change_a_row(place: Place) -> None:
    """Let what is live be another than what comes."""
    with connect(place.url) as connection, connection.begin():
        connection.exec_driver_sql(f"UPDATE goods SET name = 'changed {place.commands}' WHERE id = 5")


def write_a_row(place: Place) -> None:
    """A write since the cut-over, to be kept."""
    with connect(place.url) as connection, connection.begin():
        connection.exec_driver_sql(f"INSERT INTO shops (name) VALUES ('{WRITTEN}-kept-{place.commands}')")


def _init(_place: Place) -> list[Turn]:
    return [Turn("db-init", ("db-init", "--yes", "--schema", "migrations"), before=change_a_row)]


def _source(place: Place) -> list[Turn]:
    files = [make_source(place, name) for name in ("north", "south")]
    return [Turn("db-migrate-data FILE", ("db-migrate-data", file, "--yes")) for file in files]


SELF = Turn("db-migrate-data self", ("db-migrate-data", "self", "--yes"), "next", carries=True)


def _there_and_back(_place: Place) -> list[Turn]:
    return [SELF, Turn("db-rollback", ("db-rollback", "--yes"), "next", repeatable=False)]


def _keep(_place: Place) -> list[Turn]:
    arguments = ("db-rollback", "--keep-writes", "--yes")
    back = Turn("db-rollback --keep-writes", arguments, "next", write_a_row, carries=True, repeatable=False)
    return [SELF, back]


def _restore(place: Place) -> list[Turn]:
    file = next(str(path) for path in sorted(place.directory.glob("backup*")) if Path(path).is_file())
    return [Turn("db-restore", ("db-restore", file, "--yes"), before=change_a_row)]


def _backup(_place: Place) -> list[Turn]:
    make = Turn("db-backup", ("db-backup",), before=change_a_row, carries=True, replaces=False)
    prune = Turn("db-backup --prune", ("db-backup", "--prune"), before=change_a_row, carries=True, replaces=False)
    return [make, prune]


CASES = (
    Case("source", ("db-migrate-data FILE",), _source, initialise),
    Case("self", ("db-rollback", "db-migrate-data self"), _there_and_back, initialise),
    Case("keep", ("db-rollback --keep-writes",), _keep, initialise),
    Case("init", ("db-init",), _init, initialise),
    Case("restore", ("db-restore",), _restore, begin_with_backup),
    Case("backup", ("db-backup", "db-backup --prune"), _backup, initialise),
)


def case_of(command: str) -> str:
    """The case in which a command comes, by its name."""
    return next(case.name for case in CASES if command in case.commands)
