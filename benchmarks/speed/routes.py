"""Every route: our command, and what a user would pick instead."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from .contenders import PEERS, Places, Route, backup, carry, dump, peer, pull, status, upgrade_copy, upgrade_self
from .stores import ALL_TABLES, SOURCE

LOADDATA, DJANGO = "Django's dumpdata, loaddata", str(PEERS / "django-admin")


def from_sqlite(places: Places) -> list[Route]:
    """The routes from a SQLite file."""
    file, url = places.sqlite.path(SOURCE), places.sqlite.url(SOURCE)
    maria, postgres, sqlite = places.maria, places.postgres, places.sqlite
    django = [str(PEERS / "python"), "-m", "benchmarks.loaddata", str(file)]
    orm = shlex.join([sys.executable, "-m", "benchmarks.speed.orm", url])
    copies = "".join(f"INSERT INTO main.{table} SELECT * FROM old.{table};" for table in ALL_TABLES)
    return [
        Route(
            "sqlite-mariadb",
            "SQLite to MariaDB",
            (
                carry(places, url, maria),
                peer(places, "sqlite3-to-mysql", lambda name: sqlite3mysql(file, name, maria.server.port), maria,
                     str(PEERS / "sqlite3mysql")),
                peer(places, "record by record (ORM)", lambda name: f"{orm} {maria.url(name)}", maria),
            ),
        ),
        Route(
            "sqlite-postgresql",
            "SQLite to PostgreSQL",
            (
                carry(places, url, postgres),
                peer(places, "pgloader", lambda name: pgloader(f"sqlite://{file}", postgres.url(name, driver="")),
                     postgres, "pgloader"),
                peer(places, LOADDATA, lambda name: shlex.join([*django, postgres.url(name, driver="")]), postgres,
                     DJANGO),
            ),
        ),
        Route(
            "sqlite-sqlite",
            "SQLite to SQLite",
            (
                carry(places, url, sqlite),
                peer(
                    places,
                    "ATTACH, INSERT ... SELECT",
                    lambda name: f"sqlite3 {file} .schema | sqlite3 {sqlite.path(name)} && sqlite3 {sqlite.path(name)} "
                    f"\"ATTACH '{file}' AS old; BEGIN; {copies} COMMIT;\"",
                    sqlite,
                    "sqlite3",
                ),
                peer(places, ".dump | sqlite3", lambda name: f"sqlite3 {file} .dump | sqlite3 {sqlite.path(name)}",
                     sqlite, "sqlite3"),
                peer(places, LOADDATA, lambda name: shlex.join([*django, str(sqlite.path(name))]), sqlite, DJANGO),
            ),
        ),
    ]  # fmt: skip


def sqlite3mysql(file: Path, name: str, port: int) -> str:
    """How sqlite3-to-mysql is called."""
    options = "-u root -h 127.0.0.1 --mysql-charset utf8mb4 --mysql-collation utf8mb4_unicode_ci --quiet"
    return f"sqlite3mysql -f {file} -d {name} -P {port} {options}"


def pgloader(source: str, target: str) -> str:
    """How pgloader is called."""
    return f"pgloader '{source}' '{target}'"


def from_mariadb(places: Places) -> list[Route]:
    """The routes from a MariaDB database."""
    maria, second, postgres, sqlite = places.maria, places.second, places.postgres, places.sqlite
    url, folder = maria.url(SOURCE), places.scratch("mydumper")
    mysql_url = f"mysql://root@127.0.0.1:{maria.server.port}/{SOURCE}"
    return [
        Route(
            "mariadb-sqlite",
            "MariaDB to SQLite",
            (
                carry(places, url, sqlite),
                peer(
                    places,
                    "mysql-to-sqlite3",
                    lambda name: f"mysql2sqlite -f {sqlite.path(name)} -d {SOURCE} -u root -h 127.0.0.1 "
                    f"-P {maria.server.port} --quiet",
                    sqlite,
                    str(PEERS / "mysql2sqlite"),
                ),
            ),
        ),
        Route(
            "mariadb-postgresql",
            "MariaDB to PostgreSQL",
            (
                carry(places, url, postgres),
                peer(places, "pgloader", lambda name: pgloader(mysql_url, postgres.url(name, driver="")), postgres,
                     "pgloader"),
            ),
        ),
        Route(
            "mariadb-mariadb",
            "MariaDB to MariaDB, two servers",
            (
                carry(places, url, second),
                peer(places, "mariadb-dump | mariadb",
                     lambda name: f"{maria.client('mariadb-dump')} --single-transaction {SOURCE} | "
                     f"{second.client()} {name}", second),
                peer(
                    places,
                    "mydumper, myloader",
                    lambda name: f"{maria.client('mydumper').replace('--no-defaults ', '')} -B {SOURCE} -o {folder} && "
                    f"{second.client('myloader').replace('--no-defaults ', '')} -d {folder} -B {name} -o",
                    second,
                    "mydumper",
                ),
            ),
        ),
        Route(
            "mariadb-one",
            "MariaDB, one server",
            (carry(places, url, maria), peer(places, "INSERT ... SELECT", maria.copy_line, maria)),
        ),
    ]  # fmt: skip


def on_one_place(places: Places) -> list[Route]:
    """PostgreSQL to itself, upgrades in place, backups."""
    maria, postgres, sqlite = places.maria, places.postgres, places.sqlite
    file, dumped = sqlite.path(SOURCE), places.scratch("dump")
    return [
        Route(
            "postgresql-postgresql",
            "PostgreSQL to PostgreSQL",
            (
                carry(places, postgres.url(SOURCE), postgres),
                peer(places, "pg_dump | pg_restore",
                     lambda name: f"{postgres.client('pg_dump')} -Fc {SOURCE} | "
                     f"{postgres.client('pg_restore')} -d {name}",
                     postgres),
            ),
        ),
        Route(
            "self-sqlite",
            "self, one revision, SQLite",
            (
                upgrade_self(places, sqlite),
                upgrade_copy(places, sqlite, lambda name: f"sqlite3 {file} \".backup '{sqlite.path(name)}'\""),
            ),
        ),
        Route(
            "self-mariadb",
            "self, one revision, MariaDB",
            (upgrade_self(places, maria), upgrade_copy(places, maria, maria.copy_line)),
        ),
        Route(
            "self-postgresql",
            "self, one revision, PostgreSQL",
            (
                upgrade_self(places, postgres),
                upgrade_copy(places, postgres, lambda name: f"{postgres.client('dropdb')} {name} && "
                             f"{postgres.client('createdb')} -T {SOURCE} {name}"),
            ),
        ),
        Route(
            "backup-sqlite",
            "db-backup, SQLite",
            (backup(places, sqlite), dump(places, "sqlite3 .backup", f"sqlite3 {file} \".backup '{dumped}'\"")),
        ),
        Route(
            "backup-mariadb",
            "db-backup, MariaDB",
            (
                backup(places, maria),
                dump(places, "mariadb-dump",
                     f"{maria.client('mariadb-dump')} --single-transaction {SOURCE} > {dumped}"),
            ),
        ),
        Route(
            "backup-postgresql",
            "db-backup, PostgreSQL",
            (backup(places, postgres),
             dump(places, "pg_dump -Fc", f"{postgres.client('pg_dump')} -Fc {SOURCE} > {dumped}")),
        ),
    ]  # fmt: skip


def over_http(places: Places) -> list[Route]:
    """From a deployment that is served to the world."""
    walk = shlex.join([sys.executable, "-m", "benchmarks.speed.walk", places.served.url])
    return [
        Route(
            "http-sqlite",
            "Ferry to Ferry over HTTP, SQLite",
            (
                pull(places, places.sqlite),
                peer(places, "50 a page, record by record (ORM)", lambda name: f"{walk} {places.sqlite.url(name)}",
                     places.sqlite),
            ),
        ),
    ]  # fmt: skip


def far_away(places: Places) -> list[Route]:
    """Small databases on servers that are 10 ms away."""
    maria, postgres, port, to_port = places.maria, places.postgres, places.far_maria.port, places.far_postgres.port
    file, url = places.small.path(SOURCE), places.small.url(SOURCE)
    return [
        Route(
            "far-mariadb",
            "SQLite to MariaDB, 10 ms away",
            (
                carry(places, url, maria, port),
                peer(places, "sqlite3-to-mysql", lambda name: sqlite3mysql(file, name, port), maria,
                     str(PEERS / "sqlite3mysql")),
            ),
            small=True,
        ),
        Route(
            "far-postgresql",
            "SQLite to PostgreSQL, 10 ms away",
            (
                carry(places, url, postgres, to_port),
                peer(places, "pgloader",
                     lambda name: pgloader(f"sqlite://{file}", postgres.url(name, to_port, driver="")), postgres,
                     "pgloader"),
            ),
            small=True,
        ),
        Route("far-status-mariadb", "db-status, MariaDB 10 ms away", (status(places, maria, port),), small=True),
        Route("far-status-postgresql", "db-status, PostgreSQL 10 ms away", (status(places, postgres, to_port),),
              small=True),
    ]  # fmt: skip


def all_routes(places: Places) -> list[Route]:
    """Every route, in the order in which they run and are shown."""
    return [*from_sqlite(places), *from_mariadb(places), *on_one_place(places), *over_http(places), *far_away(places)]
