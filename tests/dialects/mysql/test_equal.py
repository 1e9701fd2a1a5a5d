"""Rows that a server's collation takes for equal are named both, with the collation and what tells them apart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from app.dialects.mysql.equal import _find_better
from tests.scenarios.hosts.foreign import Foreign
from tests.support.places import new_name
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import ON_MYSQL, MariaDB


def unique(db: SQLAlchemy) -> None:
    sa.Table(
        "person",
        db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.String(40), unique=True),
    )


def host(directory: Path, live: sa.URL | None = None, collation: str = "") -> Foreign:
    directory.mkdir()
    made = Foreign(directory, models=unique)
    if live is not None:
        made.config["SQLALCHEMY_DATABASE_URI"] = live.render_as_string(hide_password=False)
    option = f".with_variant(sa.String(40, collation={collation!r}), 'mysql')" if collation else ""
    made.add(
        "three",
        "two",
        "op.create_table('person', sa.Column('id', sa.Integer, primary_key=True), "
        f"sa.Column('uid', sa.String(40){option}, unique=True))",
    )
    return made


def old(directory: Path, *uids: str) -> Path:
    source = host(directory)
    source.at("three")
    for number, uid in enumerate(uids, 1):
        source.execute(f"INSERT INTO person VALUES ({number}, '{uid}')")
    return source.live


EXACT = "utf8mb4_0900_bin" if ON_MYSQL else "utf8mb4_nopad_bin"


@pytest.mark.parametrize(
    ("uids", "collation", "what", "better"),
    [
        (("pad", "pad  "), "utf8mb4_bin", "blanks at the end", EXACT),
        (
            ("pad", "pad  "),
            "utf8mb4_unicode_ci",
            "blanks at the end",
            EXACT if ON_MYSQL else "utf8mb4_unicode_nopad_ci",
        ),
        (("toby", "Toby"), "utf8mb4_unicode_ci", "case, accents", EXACT),
        (("josé", "jose"), "utf8mb4_general_ci", "case, accents", EXACT),
    ],
)
def test_both_rows_are_named_and_what_tells_them_apart(
    mariadb: MariaDB, tmp_path: Path, uids: tuple[str, str], collation: str, what: str, better: str
) -> None:
    source = old(tmp_path / "old", *uids)
    live = mariadb.url(new_name())
    mariadb.execute(f"CREATE DATABASE {live.database} CHARACTER SET utf8mb4 COLLATE {collation}")
    new = host(tmp_path / "new", live)
    refused = new.run("db-migrate-data", str(source), "--yes")
    assert refused.status == 22, refused.stderr
    words = " ".join(refused.stderr.split())
    assert f"person.uid has the collation {collation}, to which {what}" in words
    assert "equal to the row with the key 1; key 2" in words
    typed = f"ALTER DATABASE `{live.database}` COLLATE {better}"
    assert typed in words
    assert "--set-aside" in words
    # What it says to type helps.
    mariadb.execute(typed)
    new.ok("db-migrate-data", str(source), "--yes")
    assert mariadb.execute(f"SELECT id, uid FROM {live.database}.person ORDER BY id") == list(enumerate(uids, 1))


def test_a_collation_that_a_revision_names_is_its_to_change(mariadb: MariaDB, tmp_path: Path) -> None:
    source = old(tmp_path / "old", "pad", "pad ")
    live = mariadb.url(new_name())
    new = host(tmp_path / "new", live, "utf8mb4_bin")
    refused = new.run("db-migrate-data", str(source), "--yes")
    assert refused.status == 22
    assert f"COLLATE {EXACT} for it in the revision" in " ".join(refused.stderr.split())
    done = new.ok("db-migrate-data", str(source), "--yes", "--set-aside")
    assert "1 row is set aside" in " ".join((done.stdout + done.stderr).split())


def test_texts_that_are_the_same_are_duplicates_as_ever(mariadb: MariaDB, tmp_path: Path) -> None:
    source = old(tmp_path / "old", "one", "two")
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.executescript(
            "DROP TABLE person; CREATE TABLE person (id INTEGER NOT NULL PRIMARY KEY, uid VARCHAR(40));"
            "INSERT INTO person VALUES (1, 'one'), (2, 'one')"
        )
    new = host(tmp_path / "new", mariadb.url(new_name()))
    refused = new.run("db-migrate-data", str(source), "--yes")
    assert refused.status == 22, refused.stderr
    words = " ".join(refused.stderr.split())
    assert "Duplicate entry" in words
    assert "collation" not in words


@of_mariadb
@pytest.mark.parametrize(
    ("collation", "blanks_only", "better"),
    [
        ("latin1_swedish_ci", True, "latin1_swedish_nopad_ci"),
        ("latin1_swedish_ci", False, "latin1_nopad_bin"),
        ("utf8mb4_uca1400_ai_ci", True, "utf8mb4_uca1400_nopad_ai_ci"),
        ("utf8mb4_nopad_bin", False, ""),
    ],
)
def test_a_better_collation_is_of_the_same_characters(
    mariadb: MariaDB, collation: str, blanks_only: bool, better: str
) -> None:
    sql = "SELECT collation_name FROM information_schema.collations"
    known = {name for (name,) in mariadb.execute(sql)} | {"utf8mb4_uca1400_nopad_ai_ci"}
    known -= {"utf8mb4_bin", "utf8mb4_0900_bin"} if not better else set()
    assert _find_better(known, collation, blanks_only=blanks_only) == better


def test_where_none_is_better_none_is_named() -> None:
    """A server whose every collation pads."""
    assert _find_better({"utf8mb4_bin", "utf8mb4_general_ci"}, "utf8mb4_general_ci", blanks_only=True) == ""
    assert _find_better({"utf8mb4_bin"}, "utf8mb4_general_ci", blanks_only=False) == "utf8mb4_bin"
