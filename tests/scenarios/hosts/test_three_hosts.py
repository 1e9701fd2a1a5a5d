"""Apps of different styles, each through its whole life with the installed wheel, on files and on servers.

The library is in ``test_host.py``. The shop is one module with typed dataclass models and a directory of scripts of its
own name; the clinic is a package with a base of its own, types of its own, reserved names, a view and a trigger.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from tests.support.places import new_name
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.site import APART

from .conftest import HERE, HostApp, clean_environment, run

Rows = dict[str, list[dict[str, Any]]]
NAMES = ("Ada Brook", "Ines Vale", "Mo O'Hara", "Żaneta Łęcka", "李雷", "a\\b%c\n", "")


def shop_rows() -> Rows:
    """Rows at the shop's first revision."""
    made = random.Random(11)
    customers = [
        {
            "id": uuid.UUID(int=made.getrandbits(128), version=4),
            "email": f"c{number}@example.org",
            "full_name": made.choice(NAMES),
            "wishes": made.choice([None, {}, {"wrap": True, "ß": [1, 2.5, None]}, {"deep": {"er": "'\""}}]),
        }
        for number in range(40)
    ]
    products = [
        {"sku": f"T-{number}", "price": made.randrange(10**6) / 100, "tags": made.sample(["tea", "café", "x"], 2)}
        for number in range(15)
    ]
    return {"customer": customers, "product": products}


def clinic_rows() -> Rows:
    """Rows at the clinic's first revision; who is supervised may come before who supervises."""
    made = random.Random(12)
    staff = [
        {
            "id": number,
            "name": made.choice(NAMES),
            "group": made.choice([None, "W-1", "ÄÖ"]),
            "supervisor_id": number % 9 + 1,
        }
        for number in range(1, 10)
    ]
    patients = [
        {"Number": number, "from": made.choice(NAMES), "case": made.choice([None, "sealed:", f"sealed:{number}"])}
        for number in range(1, 31)
    ]
    visits = [
        {"patient_id": patient, "order": order, "seen_by": made.choice([None, 1, 9]), "fee": made.randrange(10**5),
         "date": dt.date(2020, 2, 29) + dt.timedelta(made.randrange(900))}
        for patient in range(1, 31)
        for order in range(1, patient % 4 + 1)
    ]  # fmt: skip
    return {"user": staff, "Patient File": patients, "visit": visits}


@dataclass(frozen=True)
class Style:
    """One of the apps.

    :ivar scripts: what its directory of Alembic scripts is called.
    :ivar first: its head before and after its second release.
    :ivar writes: what the app does between the two, and how to see afterwards that it was kept and carried on.
    """

    name: str
    application: str
    scripts: str
    rows: Callable[[], Rows]
    heads: tuple[str, str]
    writes: tuple[str, ...]
    seen: str
    kept: list[tuple[Any, ...]]
    carried: str
    expected: list[tuple[Any, ...]]
    renamed: tuple[str, str] = ("", "")


UUID = "0123456789ab4def8123456789abcdef"
SHOP = Style(
    "shop",
    "shop:app",
    "history",
    shop_rows,
    ("orders", "channel"),
    (
        f"INSERT INTO customer (id, email, name) VALUES ('{UUID}', 'new@example.org', 'New')",
        f"INSERT INTO customer_order (id, customer_id, placed_at, standing, note) VALUES ('{UUID}', '{UUID}',"
        " '2024-02-29 12:34:56', 'SENT', 'called twice')",
        f"INSERT INTO line (order_id, sku, quantity) VALUES ('{UUID}', 'T-3', 7)",
    ),
    "SELECT standing, note, quantity, sku FROM customer_order JOIN line ON order_id = id",
    [("SENT", "called twice", 7, "T-3")],
    "SELECT channel FROM customer_order",
    [("PHONE",)],
    renamed=("full_name", "name"),
)
CLINIC = Style(
    "clinic",
    "clinic:create_app",
    "migrations",
    clinic_rows,
    ("changes", "discounts"),
    (
        'INSERT INTO visit (patient_id, "order", "date", fee) VALUES (30, 77, \'2024-02-29\', 4200)',
        "INSERT INTO prescription (patient_id, visit, \"table\") VALUES (30, 77, 'tea')",
    ),
    'SELECT visit, "table", what FROM prescription, change',
    [(77, "tea", "visit 30/77")],
    'SELECT "select", "all" > 4200 FROM visit JOIN "Earned" USING (patient_id) WHERE "order" = 77',
    [(420, True)],
)
STYLES = pytest.mark.parametrize("style", [SHOP, CLINIC], ids=lambda style: style.name)


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Callable[[Style], Path]:
    """Returns an app's directory, with what ``flask db init`` writes, made once, and its first release's revisions."""
    made: dict[str, Path] = {}

    def make(style: Style) -> Path:
        if style.name not in made:
            directory = tmp_path_factory.mktemp("begun") / style.name
            shutil.copytree(HERE / style.name, directory, ignore=shutil.ignore_patterns("__pycache__", "releases"))
            HostApp(directory, python, application=style.application).ok("db", "init")
            made[style.name] = directory
        return made[style.name]

    return make


@dataclass
class Place:
    """An app on a database."""

    style: Style
    app: HostApp
    url: sa.URL

    def release(self, number: int) -> None:
        """Deploy the revisions of a release, and its models."""
        for file in sorted((HERE / self.style.name / "releases").glob(f"r{number}_*.py")):
            shutil.copy(file, self.app.directory / self.style.scripts / "versions")
        self.app.environ["HOST_RELEASE"] = str(number)

    def ask(self, *statements: str, url: sa.URL | None = None) -> list[tuple[Any, ...]]:
        """Rows of the last statement, as the driver gives them."""
        engine = sa.create_engine(url or self.url, poolclass=NullPool)
        with engine.begin() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    def fill(self, url: sa.URL) -> Rows:
        """The made-up rows, put in past the app's own types; those of the first revision."""
        rows = self.style.rows()
        engine = sa.create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            meta = sa.MetaData()
            meta.reflect(connection)
            for name, found in rows.items():
                for column in meta.tables[name].columns:
                    # What reflection cannot tell: SQLite's UUID is a CHAR, MariaDB's JSON a LONGTEXT.
                    if any(isinstance(row[column.name], uuid.UUID) for row in found):
                        column.type = sa.Uuid()
                    if any(isinstance(row[column.name], dict | list) for row in found):
                        column.type = sa.JSON()
                late = [row for row in found if row.get("supervisor_id")]
                connection.execute(
                    meta.tables[name].insert(),
                    [row | dict.fromkeys(["supervisor_id"] if late else []) for row in found],
                )
                for row in late:
                    where = meta.tables[name].c.id == row["id"]
                    connection.execute(meta.tables[name].update().where(where), {"supervisor_id": row["supervisor_id"]})
        return rows

    def everything(self, url: sa.URL | None = None) -> dict[str, list[str]]:
        """All rows of the tables that were filled, in one order, with the names of columns that a revision renames."""
        engine = sa.create_engine(url or self.url, poolclass=NullPool)
        with engine.connect() as connection:
            quote = connection.dialect.identifier_preparer.quote
            found = {}
            for name in self.style.rows():
                rows = connection.exec_driver_sql(f"SELECT * FROM {quote(name)}").mappings()
                old, new = self.style.renamed
                found[name] = sorted(
                    repr(sorted((new if key == old else key, value) for key, value in row.items())) for row in rows
                )
            return found


@pytest.fixture
def place(tmp_path: Path, python: Path, begun: Callable[[Style], Path]) -> Callable[[Style, sa.URL | None], Place]:
    """Returns an app at its first release, on SQLite's default file or on a database."""

    def make(style: Style, url: sa.URL | None) -> Place:
        directory = tmp_path / style.name
        shutil.copytree(begun(style), directory)
        app = HostApp(directory, python, application=style.application)
        if url is not None:
            app.environ["HOST_DATABASE"] = url.render_as_string(hide_password=False)
        made = Place(style, app, url or sa.URL.create("sqlite", database=str(app.database)))
        made.release(1)
        return made

    return make


@STYLES
def test_a_life_on_sqlite(style: Style, place: Callable[[Style, sa.URL | None], Place], tmp_path: Path) -> None:
    here = place(style, None)
    app = here.app
    app.ok("db-init")
    assert sum(map(len, here.everything().values())) > 1, "the seed"
    old = sa.URL.create("sqlite", database=str(tmp_path / "old.db"))
    app.ok("db", "upgrade", "first", HOST_DATABASE=str(old))
    here.fill(old)
    app.ok("db-migrate-data", str(tmp_path / "old.db"), "--yes")
    assert here.everything() == here.everything(old)
    app.ok("db-verify")
    here.ask(*style.writes)
    assert here.ask(style.seen) == style.kept
    written = here.everything()
    app.ok("db-backup")
    here.release(2)
    app.ok("db-migrate-data", "self", "--yes")
    assert here.ask(style.seen) == style.kept
    assert here.ask(style.carried) == style.expected
    assert "Drift:       none" in app.ok("db-status", "--check").stdout
    app.ok("db-rollback", "--yes")
    assert here.ask("SELECT version_num FROM alembic_version") == [(style.heads[0],)]
    here.ask("DELETE FROM line" if style is SHOP else "DELETE FROM prescription")
    app.ok("db-restore", "--yes")
    assert (here.everything(), here.ask(style.seen)) == (written, style.kept)


SEVERAL = """
import json, os
from flask.cli import ScriptInfo
app = ScriptInfo(app_import_path=os.environ['FLASK_APP']).load_app()
for arguments in json.loads(os.environ['COMMANDS']):
    done = app.test_cli_runner(**APART).invoke(args=arguments)
    print(json.dumps([arguments, done.exit_code, done.stdout, done.stderr]))
"""


def several(app: HostApp, *commands: list[str]) -> Iterator[str]:
    """Run commands one after another in a single process of the app; what each printed."""
    environ = {"FLASK_APP": app.application, "PYTHONPATH": str(app.directory), "COMMANDS": json.dumps(commands)}
    done = run(
        app.python,
        "-c",
        SEVERAL.replace("APART", repr(APART)),
        cwd=app.directory,
        env=clean_environment(**environ, **app.environ),
    )
    assert done.status == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[[")]
    assert len(answers) == len(commands), done.stdout
    for arguments, status, stdout, stderr in answers:
        assert status == 0, (arguments, stderr, stdout)
        yield stdout


def life_on_a_server(here: Place, old: sa.URL) -> None:
    """The same life in two processes, one for each release, from an old database on the same server."""
    style, app = here.style, here.app
    app.ok("db", "upgrade", "first", HOST_DATABASE=old.render_as_string(hide_password=False))
    here.fill(old)
    # The password of a source is no argument.
    app.environ["FLASK_FERRY_SOURCE"] = old.render_as_string(hide_password=False)
    list(several(app, ["db-init"], ["db-migrate-data", "--yes"], ["db-verify"]))
    assert here.everything() == here.everything(old)
    here.ask(*style.writes)
    assert here.ask(style.seen) == style.kept
    written = here.everything()
    here.release(2)
    steps = ["db-backup"], ["db-migrate-data", "self", "--yes"], ["db-status", "--check"]
    assert "Drift:       none" in list(several(app, *steps))[-1]
    assert here.ask(style.seen) == style.kept
    assert here.ask(style.carried) == style.expected
    list(several(app, ["db-rollback", "--yes"], ["db-restore", "--yes"]))
    assert (here.everything(), here.ask(style.seen)) == (written, style.kept)


def test_the_shop_on_mariadb(place: Callable[[Style, sa.URL | None], Place], mariadb: MariaDB) -> None:
    names = new_name(), new_name()
    for name in names:
        mariadb.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    life_on_a_server(place(SHOP, mariadb.url(names[0])), mariadb.url(names[1]))


def test_the_clinic_on_postgresql(place: Callable[[Style, sa.URL | None], Place], postgresql: PostgreSQL) -> None:
    names = new_name(), new_name()
    for name in names:
        postgresql.execute(f"CREATE DATABASE {name}")
    life_on_a_server(place(CLINIC, postgresql.url(names[0])), postgresql.url(names[1]))
