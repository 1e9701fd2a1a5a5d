"""PostgreSQL: large objects lie in no table; a number without its content is never taken for the whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import connected, execute

Make = Callable[[str], SmallHost]
SCHEMA = (
    "CREATE DOMAIN handle AS oid",
    "CREATE TABLE paper (id SERIAL PRIMARY KEY, scan OID, more handle)",
    "CREATE TABLE note (id SERIAL PRIMARY KEY)",
)
SAID = ["paper.scan: 2 values name large objects", "paper.more: 1 value names a large object"]


@pytest.fixture
def papers(host: Make) -> SmallHost:
    """An app that keeps scans as large objects; one row names none, and one a table of the catalogs."""
    made = host("postgresql")
    made.revise(*SCHEMA)
    made.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(
        made.url,
        "INSERT INTO paper (scan, more) VALUES (lo_from_bytea(0, 'a'), NULL), (lo_from_bytea(0, 'b'),"
        " lo_from_bytea(0, 'c')), (NULL, 'pg_class'::regclass)",
    )
    return made


def test_a_backup_is_refused_and_names_them(papers: SmallHost, tmp_path: Path) -> None:
    for options in ([], ["--portable"]):
        place = tmp_path / "kept.json"
        result = papers.flask("db-backup", "--to", str(place), *options)
        assert result.status == 21
        assert all(line in result.stderr for line in SAID)
        assert not place.exists()
    execute(papers.url, "SELECT lo_unlink(scan), lo_unlink(more) FROM paper WHERE scan IS NOT NULL")
    papers.done("db-backup", "--to", str(tmp_path / "whole.dump"))


def test_a_source_is_refused_unless_their_table_is_left_out(host: Make, papers: SmallHost) -> None:
    new = host("postgresql")
    new.revise(*SCHEMA)
    result = new.migrate_from(papers)
    assert result.status == 22
    assert all(line in result.stderr for line in SAID)
    succeeded(new.migrate_from(papers, "--exclude", "paper"))


def test_a_run_on_itself_keeps_them_and_warns_of_its_backup(papers: SmallHost) -> None:
    papers.revise("ALTER TABLE note ADD COLUMN words TEXT", name="r2", down="r1")
    said = papers.done("db-migrate-data", "self", "--yes")
    assert f"The backup made now has the number and not the content of {SAID[0]}" in said
    with connected(papers.url) as connection:
        assert connection.exec_driver_sql("SELECT lo_get(scan) FROM paper WHERE id = 1").scalar() == b"a"
